"""What [schedule] may say: each schedule of the learning rate brings its own keys."""

from typing import Annotated, Literal

from pydantic import Field

from workbench.profile.lengths import LENGTH, LENGTHS
from workbench.profile.section import Section

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

SCHEDULES: dict[str, type[Section]] = {
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
}
"""name -> model; the first is the default."""
