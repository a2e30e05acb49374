"""What a profile may say: one pydantic model, each field with its sentence, unit and bounds.

The same text is the command line's help, the JSON Schema and the form's help. Sections are frozen:
a resolved profile is a value that passes between rooms. `optim` and `schedule` are chosen by their
`name` (see `DISCRIMINATED`): each choice brings its own keys.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str

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
    augment: Literal["none", "standard"] = Field(
        default="standard",
        description="training images only; standard: random crop with padding, and a horizontal flip "
        "where a mirrored image keeps its class",
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


class Adam(Section):
    """Adam (Kingma and Ba, 2015); weight decay is the L2 term of the paper's gradient, not decoupled."""

    name: Literal["adam"] = Field(default="adam", description="optimiser")
    lr: float = Field(default=0.001, gt=0.0, description="learning rate")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the gradient's running mean")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="decay of the squared gradient's running mean")
    eps: float = Field(default=1e-8, gt=0.0, description="term added to the denominator for stability")
    weight_decay: float = Field(default=0.0, ge=0.0, description="L2 penalty on every parameter")


class SGD(Section):
    """Stochastic gradient descent with momentum as torch.optim.SGD defines it."""

    name: Literal["sgd"] = Field(default="sgd", description="optimiser")
    lr: float = Field(default=0.01, gt=0.0, description="learning rate")
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="momentum; 0 is plain SGD")
    nesterov: bool = Field(default=False, description="Nesterov's momentum (needs momentum above 0)")
    weight_decay: float = Field(default=0.0, ge=0.0, description="L2 penalty on every parameter")


Optim = Annotated[Adam | SGD, Field(discriminator="name")]


class Constant(Section):
    """The learning rate stays as it is."""

    name: Literal["constant"] = Field(default="constant", description="learning-rate schedule")


class Cosine(Section):
    """Half a cosine from the optimiser's learning rate down to its end (Loshchilov and Hutter, 2017, no restarts)."""

    name: Literal["cosine"] = Field(default="cosine", description="learning-rate schedule")
    end: float = Field(
        default=0.0, ge=0.0, le=1.0, description="learning rate after the last step, as a fraction of optim.lr"
    )


Schedule = Annotated[Constant | Cosine, Field(discriminator="name")]


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
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="fp32, or bf16 autocast; auto: bf16 on a CUDA device that has it, else fp32"
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
    best: bool = Field(default=True, description="keep the best epoch's checkpoint as best.pt beside last.pt")


class Profile(Section):
    """Everything that decides a run. A profile file holds any part of it; the rest has defaults."""

    name: str = Field(
        default="",
        max_length=40,
        description="what the run directory is called beside time and suffix; empty: the network's name",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="every random draw of the run derives from it")
    extends: str | None = Field(default=None, description="a profile whose values hold where this one says nothing")
    model: Model = Field(default_factory=Model)
    data: Data = Field(default_factory=Data)
    optim: Optim = Field(default_factory=Adam)
    schedule: Schedule = Field(default_factory=Constant)
    train: Train = Field(default_factory=Train)
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)


DISCRIMINATED: dict[str, dict[str, type[Section]]] = {
    "optim": {"adam": Adam, "sgd": SGD},
    "schedule": {"constant": Constant, "cosine": Cosine},
}
"""Sections whose keys depend on their `name`: section -> name -> model. The first is the default."""
