"""What a profile may say: one pydantic model, each field with its sentence, unit and bounds.

The same text is the command line's help, the JSON Schema and the form's help. Sections are frozen:
a resolved profile is a value that passes between rooms. `optim` and `schedule` are chosen by their
`name` (see `DISCRIMINATED`): each choice brings its own keys. Both families are written in modules
of their own, `optimizers` and `schedules`, and used from here.
"""

from typing import Annotated, Literal

from pydantic import Field

from workbench.profile.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lamb,
    Muon,
    NAdam,
    Optim,
    Optimizer,
    RMSprop,
)
from workbench.profile.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Cyclic,
    Multistep,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    Step,
    WarmupConstant,
    WarmupCosine,
    WarmupLinear,
)
from workbench.profile.section import Section

__all__ = [
    "DISCRIMINATED", "MONITOR", "SGD", "Adagrad", "Adam", "AdamW", "Augment", "Checkpoint", "Constant", "Cosine",
    "Cyclic", "Data", "DatasetName", "Lamb", "Model", "Multistep", "Muon", "NAdam", "OneCycle", "Optim", "Optimizer",
    "Plateau", "Polynomial", "Profile", "RMSprop", "Sam", "Scalar", "Schedule", "Section", "Step", "Train",
    "WarmupConstant", "WarmupCosine", "WarmupLinear",
]  # fmt: skip

Scalar = bool | int | float | str

MONITOR = r"^(auto|(val|test|train)(_ema)?_(top1|top5|loss))$"

DatasetName = Literal["digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn", "folder"]


class Model(Section):
    """The network."""

    arch: str = Field(
        default="resnet18",
        min_length=1,
        description="network: a name of the architectures package, or module:callable for one of your own",
    )
    options: dict[str, Scalar] = Field(
        default_factory=dict,
        description="the paper's own knobs, passed to the network's constructor",
    )
    pretrained: str = Field(
        default="",
        description="weights to start from: torchvision, timm, or a path to a .safetensors file or a checkpoint; "
        "empty: weights drawn from the seed",
    )
    freeze: Literal["none", "backbone"] = Field(
        default="none", description="what is not trained; backbone: everything but the head"
    )


class Data(Section):
    """The images."""

    dataset: DatasetName = Field(
        default="cifar10", description="data set; digits is embedded, folder is your own images"
    )
    root: str = Field(
        default="",
        description="folder where the files are; for dataset folder, the one that holds train/ (and test/); "
        "empty: the user's cache folder",
    )
    image_size: int = Field(
        default=224,
        ge=8,
        le=4096,
        description="height and width that the network sees",
        json_schema_extra={"unit": "px"},
    )
    batch_size: int = Field(
        default=128, ge=1, description="images per optimiser step", json_schema_extra={"unit": "images"}
    )
    augment: Literal["none", "standard", "contrastive", "strong"] = Field(
        default="standard",
        description="preset for the training images, whose parts [augment] can change; standard: random crop with "
        "padding, and a horizontal flip where a mirrored image keeps its class",
    )
    val_fraction: float = Field(
        default=0.0, ge=0.0, le=0.5, description="part of the training images held out for validation; 0 holds out none"
    )
    workers: int = Field(
        default=2,
        ge=0,
        le=256,
        description="processes that decode images of dataset folder; 0 decodes in the trainer itself",
    )
    max_corrupt: int = Field(
        default=10,
        ge=0,
        description="images of dataset folder that may be unreadable (named and skipped) before it is an error",
    )


class Augment(Section):
    """What happens to training images. A key that is not set is what the preset of data.augment says."""

    crop: Literal["none", "pad", "resized"] | None = Field(
        default=None,
        description="pad: with black by an eighth of the side, then crop at a random place; resized: a random part of "
        "the area, stretched to the full size",
    )
    crop_scale: float | None = Field(
        default=None, gt=0.0, le=1.0, description="smallest part of the area that crop = resized takes"
    )
    flip: bool | None = Field(default=None, description="mirror left and right with probability one half")
    jitter: float | None = Field(
        default=None, ge=0.0, le=1.0, description="strength of random brightness, contrast and saturation"
    )
    hue: float | None = Field(
        default=None, ge=0.0, le=0.5, description="largest random turn of the hue", json_schema_extra={"unit": "turns"}
    )
    greyscale: float | None = Field(
        default=None, ge=0.0, le=1.0, description="probability that an image loses its colour"
    )
    blur: float | None = Field(default=None, ge=0.0, le=1.0, description="probability of a Gaussian blur")
    policy: Literal["none", "randaugment", "trivialaugment"] | None = Field(
        default=None, description="random operations: RandAugment or TrivialAugment"
    )
    operations: int | None = Field(default=None, ge=1, le=10, description="RandAugment's N: operations an image")
    magnitude: float | None = Field(default=None, ge=0.0, le=30.0, description="RandAugment's M, of 30")
    erase: float | None = Field(
        default=None, ge=0.0, le=1.0, description="probability that a random rectangle is erased"
    )
    mixup: float | None = Field(
        default=None, ge=0.0, le=10.0, description="alpha of mixup's Beta distribution; 0 mixes nothing"
    )
    cutmix: float | None = Field(
        default=None, ge=0.0, le=10.0, description="alpha of CutMix's Beta distribution; 0 pastes nothing"
    )


class Sam(Section):
    """Sharpness-aware minimisation (Foret et al., 2021) around the optimiser; adaptive is ASAM (Kwon et al., 2021)."""

    rho: float = Field(default=0.0, ge=0.0, description="radius of the neighbourhood; 0 switches SAM off")
    adaptive: bool = Field(default=False, description="measure the radius relative to each weight (ASAM)")


class Train(Section):
    """The loop."""

    epochs: int = Field(
        default=10, ge=1, description="passes over the training images", json_schema_extra={"unit": "epochs"}
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto (CUDA, else MPS, else CPU), cpu, cuda, cuda:N or mps",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="fp32, or autocast to bf16 or fp16 (with a loss scaler); auto: on a CUDA device bf16 where it has "
        "it, else fp16; fp32 on every other",
    )
    tf32: bool = Field(default=True, description="fp32 products in TF32 on a CUDA device that has it")
    channels_last: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="memory layout of convolutional networks; auto: what was faster in a short trial on the device",
    )
    compile: Literal["off", "default", "max-autotune"] = Field(
        default="off", description="torch.compile; pays back its minutes in long runs only"
    )
    cuda_graph: Literal["auto", "on", "off"] = Field(
        default="auto", description="replay the step as one CUDA graph; auto: where it can be, else eager, and says so"
    )
    micro_batch: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="images that go through the network at once, gradients summed up to data.batch_size; auto: the "
        "whole batch, or the largest part of it that fits the device",
        json_schema_extra={"unit": "images"},
    )
    deterministic: bool = Field(
        default=False, description="algorithms that give the same bits each time on a GPU; slower"
    )
    sync_bn: bool = Field(default=False, description="batch norm over all GPUs of a distributed run")
    label_smoothing: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="part of each training target spread over all classes"
    )
    clip_norm: float = Field(default=0.0, ge=0.0, description="largest norm of the whole gradient; 0 does not clip")
    ema: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="decay a step of a moving average of the weights, evaluated beside them; 0 keeps none",
    )
    early_stopping: int = Field(
        default=0,
        ge=0,
        description="stop after so many epochs without a better checkpoint.monitor; 0 never does",
        json_schema_extra={"unit": "epochs"},
    )
    progressive_stages: int = Field(
        default=1,
        ge=1,
        le=100,
        description="stages of EfficientNetV2's training, each with larger images and stronger regularisation; 1: off",
    )
    progressive_from: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="image size and strength of augmentation, dropout and mixup in the first stage, as a fraction of "
        "the last's",
    )
    on_nan: Literal["stop", "skip", "rollback"] = Field(
        default="stop",
        description="on a loss or gradient that is not finite: end the run, leave out that step, or go back to the "
        "last checkpoint with half the learning rate",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads; 0: torch's own choice. The number is part of what makes a run repeatable to the bit",
    )
    flush_seconds: float = Field(
        default=1.0,
        gt=0.0,
        le=3600.0,
        description="how often metrics are read back from the device and written",
        json_schema_extra={"unit": "s"},
    )


class Checkpoint(Section):
    """When the run is saved; a stopped run is always saved."""

    every_epochs: int = Field(
        default=1, ge=1, description="save after every so many epochs", json_schema_extra={"unit": "epochs"}
    )
    every_minutes: float = Field(
        default=10.0, gt=0.0, description="and inside an epoch after so many minutes", json_schema_extra={"unit": "min"}
    )
    every_steps: int = Field(
        default=0, ge=0, description="and after so many optimiser steps; 0: not", json_schema_extra={"unit": "steps"}
    )
    keep: int = Field(default=2, ge=2, le=1000, description="newest checkpoints that stay on the disk")
    best: bool = Field(default=True, description="keep the best epoch's checkpoint as best.pt beside last.pt")
    monitor: str = Field(
        default="auto",
        pattern=MONITOR,
        description="figure that decides what is best: val_top1, test_loss, test_ema_top1, ...; auto: top-1 of the "
        "validation images, else of the test images, else of the training images",
    )
    save_model: bool = Field(
        default=True,
        description="export the weights as model.safetensors at the end; false, for sweeps, also leaves no checkpoint "
        "behind when the run is finished",
    )


class Profile(Section):
    """Everything that decides a run. A profile file holds any part of it; the rest has defaults."""

    name: str = Field(
        default="",
        max_length=40,
        description="what the run directory is called beside time and suffix; empty: the network's name",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="every random draw of the run derives from it")
    recipe: str = Field(
        default="",
        max_length=60,
        description="label of the recipe, by which tables group runs; empty: the name of the profile's file",
    )
    extends: str | None = Field(default=None, description="a profile whose values hold where this one says nothing")
    model: Model = Field(default_factory=Model)
    data: Data = Field(default_factory=Data)
    augment: Augment = Field(default_factory=Augment)
    optim: Optim = Field(default_factory=Adam)
    schedule: Schedule = Field(default_factory=Constant)
    sam: Sam = Field(default_factory=Sam)
    train: Train = Field(default_factory=Train)
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)


DISCRIMINATED: dict[str, dict[str, type[Section]]] = {"optim": OPTIMIZERS, "schedule": SCHEDULES}
"""Sections whose keys depend on their `name`: section -> name -> model. The first is the default."""
