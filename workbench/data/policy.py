"""What happens to training images, decided: a preset of `data.augment` with the keys of [augment] laid over it.

No torch here, so that a screen or `profile show` can say what a profile means before anything is loaded.

Where the presets' figures come from:

* `standard`: He et al. (2016), section 4.2: pad, crop, mirror. (The seed's own list resizes to 256 px, jitters
  brightness by 0.5 and hue by 0.3, crops and mirrors; what is called standard here was fixed by this project's first
  runs and stays as it was.)
* `contrastive`: the seed repository's `ContrastiveAugmentation` (augmentations.py), which is SimCLR's (Chen et al.,
  2020, appendix A) at strength 1: a crop of 8 % to 100 % of the area, mirror, jitter of 0.8 and hue of 0.2 in eight of
  ten images, blur in one of two, greyscale in one of five.
* `strong`: this project's choice for long training of larger networks. RandAugment with N = 2 and M = 9 is what its
  paper (Cubuk et al., 2020) uses for ResNet-50; erasing one image in four is what the DeiT and ResNet-RS recipes do;
  crops start at 35 % of the area, for the pictures here are small and a crop of 8 % of 32 px is 9 px wide.
"""

from dataclasses import dataclass, replace
from typing import Literal

from workbench.profile.schema import Augment

MIRRORED = frozenset({"fashion_mnist", "cifar10", "cifar100", "folder"})
"""Data sets whose classes survive a mirror; a mirrored digit or letter is another sign or none."""

TOP_MAGNITUDE = 30.0
"""RandAugment's M at which an operation is at its strongest."""


@dataclass(frozen=True)
class Policy:
    """Every figure of the augmentation, none left to a default. The same fields as [augment], with no None."""

    crop: Literal["none", "pad", "resized"] = "none"
    crop_scale: float = 0.08  # smallest part of the area; used by crop = resized
    flip: bool = False
    jitter: float = 0.0  # factors of brightness, contrast and saturation are drawn from 1 - jitter to 1 + jitter
    jitter_probability: float = 1.0  # that jitter and hue happen to an image
    hue: float = 0.0  # turns
    greyscale: float = 0.0  # probability
    blur: float = 0.0  # probability
    policy: Literal["none", "randaugment", "trivialaugment"] = "none"
    operations: int = 2  # an image
    magnitude: float = 9.0  # of TOP_MAGNITUDE; for trivialaugment the largest one
    erase: float = 0.0  # probability
    mixup: float = 0.0  # alpha
    cutmix: float = 0.0  # alpha

    @property
    def mixes(self) -> bool:
        """Whether images of two classes can end up in one."""
        return self.mixup > 0 or self.cutmix > 0

    def scaled(self, strength: float) -> "Policy":
        """Regularisation of another strength, each figure in proportion (EfficientNetV2, section 4.2).

        Magnitude, jitter, hue, the probability of erasing and the alphas of mixing; 1.0 changes nothing. Crop, flip,
        greyscale and blur stay. Raises ValueError outside 0..1.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1 (got {strength})")
        if strength == 1:
            return self
        names = ("jitter", "hue", "magnitude", "erase", "mixup", "cutmix")
        return replace(self, **{name: getattr(self, name) * strength for name in names})


PRESETS: dict[str, Policy] = {
    "none": Policy(),
    "standard": Policy(crop="pad", flip=True),
    "contrastive": Policy(
        crop="resized", flip=True, jitter=0.8, jitter_probability=0.8, hue=0.2, greyscale=0.2, blur=0.5
    ),
    "strong": Policy(crop="resized", crop_scale=0.35, flip=True, policy="randaugment", erase=0.25),
}
"""By the name that `data.augment` gives; `flip` holds only where a mirrored image keeps its class."""


def resolve(preset: str, asked: Augment, mirror: bool) -> Policy:
    """The policy of `preset` (data.augment) with what [augment] asks for; `mirror`: a mirrored image keeps its class.

    A key that is set always wins: `flip = true` mirrors digits as well. TrivialAugment is one operation of any
    magnitude by definition (Müller and Hutter, 2021), so `operations` and `magnitude` say nothing there.
    """
    base = PRESETS[preset]
    base = replace(base, flip=base.flip and mirror)
    policy = replace(base, **{name: value for name, value in asked if value is not None})
    if policy.policy == "trivialaugment":
        policy = replace(policy, operations=1, magnitude=TOP_MAGNITUDE)
    return policy


def check(policy: Policy, classes: int) -> str | None:
    """Why a data set of so many classes cannot be trained with `policy`: one line; None if it can."""
    if policy.mixes and classes < 2:
        key = "mixup" if policy.mixup > 0 else "cutmix"
        return f"augment.{key}: mixing needs images of at least 2 classes (the data set has {classes}); set it to 0"
    return None


def without_effect(asked: Augment, policy: Policy, channels: int = 3) -> tuple[str, ...]:
    """Keys that [augment] sets and that change nothing under `policy`, for images of `channels` channels.

    A crop_scale without crop = "resized", for one, is a mistake that no one would notice in the pictures.
    """
    idle = {
        "crop_scale": policy.crop != "resized",
        "operations": policy.policy != "randaugment",
        "magnitude": policy.policy != "randaugment",
        "hue": channels != 3,
        "greyscale": channels != 3,
    }
    return tuple(name for name, value in asked if value and idle.get(name, False))
