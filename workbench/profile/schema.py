"""What a profile may say: one pydantic model, each field with its sentence, unit and bounds.

The same text is the command line's help, the JSON Schema and the form's help. Sections are frozen:
a resolved profile is a value that passes between rooms. `optim` and `schedule` are chosen by their
`name` (see `DISCRIMINATED`): each choice brings its own keys.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str

LENGTH = r"^\d+(\.\d+)?(ep|step|%)$"
"""A length of a schedule: "5ep" epochs, "500step" optimiser steps, or "10%" of the run."""
LENGTHS = r"^\d+(\.\d+)?(ep|step|%)( *, *\d+(\.\d+)?(ep|step|%))*$"
"""Several of them, separated by commas."""
MONITOR = r"^(auto|(val|test|train)(_ema)?_(top1|top5|loss))$"

DatasetName = Literal["digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn", "folder"]


class Section(BaseModel):
    """A table of the profile. Unknown keys and values of another type are errors, never guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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


class Optimizer(Section):
    """What every optimiser has."""

    name: str = Field(description="optimiser")
    lr: float = Field(gt=0.0, description="learning rate")
    weight_decay: float = Field(default=0.0, ge=0.0, description="L2 penalty")
    decay_norms_and_biases: bool = Field(
        default=True,
        description="weight decay also on norms, biases, class tokens and position embeddings, as the older papers do",
    )


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015); weight decay is the L2 term of the paper's gradient, not decoupled."""

    name: Literal["adam"] = Field(default="adam", description="optimiser")
    lr: float = Field(default=0.001, gt=0.0, description="learning rate")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"] = Field(default="adamw", description="optimiser")
    lr: float = Field(default=0.001, gt=0.0, description="learning rate")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")
    weight_decay: float = Field(default=0.01, ge=0.0, description="decoupled: times the learning rate each step")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum as torch.optim.SGD defines it."""

    name: Literal["sgd"] = Field(default="sgd", description="optimiser")
    lr: float = Field(default=0.01, gt=0.0, description="learning rate")
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="momentum; 0 is none")
    nesterov: bool = Field(default=False, description="Nesterov's momentum (needs momentum above 0)")


class RMSprop(Optimizer):
    """RMSprop as torch.optim.RMSprop defines it: eps is added outside the root (TensorFlow adds it inside)."""

    name: Literal["rmsprop"] = Field(default="rmsprop", description="optimiser")
    lr: float = Field(default=0.01, gt=0.0, description="learning rate")
    alpha: float = Field(default=0.99, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    momentum: float = Field(default=0.0, ge=0.0, lt=1.0, description="momentum; 0 is none")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")
    centered: bool = Field(default=False, description="divide by the estimated standard deviation")


class Lamb(Optimizer):
    """LAMB (You et al., 2020): Adam's step, scaled for each weight to the weight's own length."""

    name: Literal["lamb"] = Field(default="lamb", description="optimiser")
    lr: float = Field(default=0.005, gt=0.0, description="learning rate")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-6, gt=0.0, description="term added to the denominator for stability")
    weight_decay: float = Field(default=0.01, ge=0.0, description="decoupled, inside the trust ratio")


class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    name: Literal["nadam"] = Field(default="nadam", description="optimiser")
    lr: float = Field(default=0.002, gt=0.0, description="learning rate")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")
    momentum_decay: float = Field(default=0.004, ge=0.0, description="how fast the momentum grows to beta1")


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011)."""

    name: Literal["adagrad"] = Field(default="adagrad", description="optimiser")
    lr: float = Field(default=0.01, gt=0.0, description="learning rate")
    lr_decay: float = Field(default=0.0, ge=0.0, description="lr is divided by 1 + steps times this")
    eps: float = Field(default=1e-10, gt=0.0, description="term added to the denominator for stability")


class Muon(Optimizer):
    """Muon (Jordan et al., 2024) for hidden matrices and kernels; AdamW for the first and last layer and the rest."""

    name: Literal["muon"] = Field(default="muon", description="optimiser")
    lr: float = Field(default=0.02, gt=0.0, description="learning rate")
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0, description="momentum; 0 is none")
    nesterov: bool = Field(default=True, description="Nesterov's momentum (needs momentum above 0)")
    ns_steps: int = Field(default=5, ge=1, le=20, description="Newton-Schulz iterations")
    weight_decay: float = Field(default=0.01, ge=0.0, description="decoupled: times the learning rate each step")
    adamw_lr: float = Field(default=0.001, gt=0.0, description="learning rate of what AdamW trains; same schedule")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")


Optim = Annotated[
    Adam | AdamW | SGD | RMSprop | Lamb | NAdam | Adagrad | Muon,
    Field(discriminator="name"),
]

_WARMUP = "how long the learning rate rises linearly from near 0: 5ep, 500step or 5%"
_END = "learning rate after the last step, as a fraction of optim.lr"


class Constant(Section):
    """The learning rate stays as it is."""

    name: Literal["constant"] = Field(default="constant", description="learning-rate schedule")


class WarmupConstant(Section):
    """A linear rise, then constant."""

    name: Literal["warmup_constant"] = Field(default="warmup_constant", description="learning-rate schedule")
    warmup: str = Field(default="5%", pattern=LENGTH, description=_WARMUP)


class WarmupLinear(Section):
    """A linear rise, then a linear fall."""

    name: Literal["warmup_linear"] = Field(default="warmup_linear", description="learning-rate schedule")
    warmup: str = Field(default="5%", pattern=LENGTH, description=_WARMUP)
    end: float = Field(default=0.0, ge=0.0, le=1.0, description=_END)


class WarmupCosine(Section):
    """A linear rise, then a cosine."""

    name: Literal["warmup_cosine"] = Field(default="warmup_cosine", description="learning-rate schedule")
    warmup: str = Field(default="5%", pattern=LENGTH, description=_WARMUP)
    cycles: float = Field(
        default=0.5, gt=0.0, le=1000.0, description="waves of the cosine; 0.5 falls once from the top to the end"
    )
    end: float = Field(default=0.0, ge=0.0, le=1.0, description=_END)


class Cyclic(Section):
    """Up and down between two rates (Smith, 2017). The momentum stays as it is."""

    name: Literal["cyclic"] = Field(default="cyclic", description="learning-rate schedule")
    mode: Literal["triangular", "triangular2", "exp_range"] = Field(
        default="triangular",
        description="all peaks alike, each peak half as high, or the height times gamma each step",
    )
    low: float = Field(
        default=0.1, ge=0.0, le=1.0, description="learning rate at the bottom, as a fraction of optim.lr"
    )
    up: str = Field(default="1ep", pattern=LENGTH, description="length of a rise")
    down: str = Field(default="1ep", pattern=LENGTH, description="length of a fall")
    gamma: float = Field(default=1.0, gt=0.0, le=1.0, description="factor a step of mode exp_range")


class Cosine(Section):
    """Half a cosine from the optimiser's learning rate down to its end (Loshchilov and Hutter, 2017, no restarts)."""

    name: Literal["cosine"] = Field(default="cosine", description="learning-rate schedule")
    end: float = Field(default=0.0, ge=0.0, le=1.0, description=_END)


class Step(Section):
    """Times a factor after every so long."""

    name: Literal["step"] = Field(default="step", description="learning-rate schedule")
    every: str = Field(default="30%", pattern=LENGTH, description="time between two drops: 2.4ep, 500step or 30%")
    factor: float = Field(default=0.1, gt=0.0, le=1.0, description="what the learning rate is multiplied by")
    warmup: str = Field(default="0%", pattern=LENGTH, description=_WARMUP)


class Multistep(Section):
    """Times a factor at given times."""

    name: Literal["multistep"] = Field(default="multistep", description="learning-rate schedule")
    at: str = Field(
        default="50%, 75%", pattern=LENGTHS, description="when the learning rate drops: 5ep, 500step or 50%"
    )
    factor: float = Field(default=0.1, gt=0.0, le=1.0, description="what the learning rate is multiplied by")
    warmup: str = Field(default="0%", pattern=LENGTH, description=_WARMUP)


class Polynomial(Section):
    """The rest of the run to a power."""

    name: Literal["polynomial"] = Field(default="polynomial", description="learning-rate schedule")
    power: float = Field(default=1.0, gt=0.0, le=100.0, description="1 is a straight line")
    end: float = Field(default=0.0, ge=0.0, le=1.0, description=_END)
    warmup: str = Field(default="0%", pattern=LENGTH, description=_WARMUP)


class OneCycle(Section):
    """One rise and one fall (Smith and Topin, 2018), each half a cosine or a line. The momentum stays as it is."""

    name: Literal["one_cycle"] = Field(default="one_cycle", description="learning-rate schedule")
    warmup: str = Field(default="30%", pattern=LENGTH, description="length of the rise: 5ep, 500step or 30%")
    start: float = Field(
        default=0.04, ge=0.0, le=1.0, description="learning rate of the first step, as a fraction of optim.lr"
    )
    end: float = Field(default=0.0, ge=0.0, le=1.0, description=_END)
    shape: Literal["cosine", "linear"] = Field(default="cosine", description="how it rises and falls")


class Plateau(Section):
    """Times a factor when checkpoint.monitor has not improved for some epochs."""

    name: Literal["plateau"] = Field(default="plateau", description="learning-rate schedule")
    factor: float = Field(default=0.1, gt=0.0, lt=1.0, description="what the learning rate is multiplied by")
    patience: int = Field(
        default=2, ge=0, description="epochs without improvement that pass first", json_schema_extra={"unit": "epochs"}
    )
    threshold: float = Field(default=0.0001, ge=0.0, description="smallest change that counts as an improvement")
    cooldown: int = Field(
        default=0, ge=0, description="epochs after a drop that do not count", json_schema_extra={"unit": "epochs"}
    )
    end: float = Field(default=0.0, ge=0.0, le=1.0, description="lowest learning rate, as a fraction of optim.lr")
    warmup: str = Field(default="0%", pattern=LENGTH, description=_WARMUP)


Schedule = Annotated[
    Constant
    | WarmupConstant
    | WarmupLinear
    | WarmupCosine
    | Cyclic
    | Cosine
    | Step
    | Multistep
    | Polynomial
    | OneCycle
    | Plateau,
    Field(discriminator="name"),
]


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


DISCRIMINATED: dict[str, dict[str, type[Section]]] = {
    "optim": {
        "adam": Adam,
        "adamw": AdamW,
        "sgd": SGD,
        "rmsprop": RMSprop,
        "lamb": Lamb,
        "nadam": NAdam,
        "adagrad": Adagrad,
        "muon": Muon,
    },
    "schedule": {
        "constant": Constant,
        "warmup_constant": WarmupConstant,
        "warmup_linear": WarmupLinear,
        "warmup_cosine": WarmupCosine,
        "cyclic": Cyclic,
        "cosine": Cosine,
        "step": Step,
        "multistep": Multistep,
        "polynomial": Polynomial,
        "one_cycle": OneCycle,
        "plateau": Plateau,
    },
}
"""Sections whose keys depend on their `name`: section -> name -> model. The first is the default."""
