"""What [optim] may say: each optimiser brings its own keys."""

from typing import Annotated, Literal

from pydantic import Field

from workbench.profile.section import Section


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

OPTIMIZERS: dict[str, type[Section]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
    "lamb": Lamb,
    "nadam": NAdam,
    "adagrad": Adagrad,
    "muon": Muon,
}
"""name -> model; the first is the default."""
