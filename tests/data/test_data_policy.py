"""What a preset and the keys of [augment] come to, before anything is loaded."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, fields

import pytest

from workbench.data.policy import PRESETS, Policy, check, resolve, without_effect
from workbench.profile.schema import Augment, Data


def test_policy_has_every_key_of_the_section_and_no_preset_is_missing() -> None:
    assert {field.name for field in fields(Policy)} == set(Augment.model_fields) | {"jitter_probability"}
    assert set(PRESETS) == set(Data.model_fields["augment"].annotation.__args__)


def test_presets() -> None:
    nothing = resolve("none", Augment(), True)
    assert not nothing.mixes
    assert nothing == Policy(flip=False)
    standard = resolve("standard", Augment(), True)
    assert standard == Policy(crop="pad", flip=True)
    contrastive = asdict(resolve("contrastive", Augment(), True))
    seed = {"crop": "resized", "crop_scale": 0.08, "flip": True, "jitter": 0.8, "jitter_probability": 0.8}
    assert {**contrastive, **seed, "hue": 0.2, "greyscale": 0.2, "blur": 0.5} == contrastive
    strong = resolve("strong", Augment(), True)
    assert (strong.policy, strong.operations, strong.magnitude) == ("randaugment", 2, 9)
    assert (strong.crop_scale, strong.erase) == (0.35, 0.25)


@pytest.mark.parametrize("preset", ["standard", "contrastive", "strong"])
def test_digits_are_mirrored_only_when_asked_to(preset: str) -> None:
    assert not resolve(preset, Augment(), False).flip
    assert resolve(preset, Augment(flip=True), False).flip
    assert not resolve(preset, Augment(flip=False), True).flip


def test_a_set_key_wins_over_the_preset_even_where_it_is_zero() -> None:
    policy = resolve("contrastive", Augment(blur=0.0, hue=0.1, crop="pad", mixup=0.2), True)
    assert (policy.blur, policy.hue, policy.crop, policy.mixup, policy.jitter) == (0.0, 0.1, "pad", 0.2, 0.8)
    assert policy.mixes


def test_trivialaugment_is_one_operation_of_any_magnitude() -> None:
    policy = resolve("strong", Augment(policy="trivialaugment", operations=3), True)
    assert (policy.operations, policy.magnitude) == (1, 30)


def test_strength_scales_what_efficientnetv2_scales() -> None:
    policy = resolve("strong", Augment(jitter=0.4, hue=0.1, mixup=0.5, cutmix=1.0, blur=0.5), True)
    half = policy.scaled(0.5)
    assert (half.jitter, half.hue, half.magnitude, half.erase) == (0.2, 0.05, 4.5, 0.125)
    assert (half.mixup, half.cutmix, half.blur, half.crop_scale) == (0.25, 0.5, 0.5, 0.35)
    assert policy.scaled(1.0) is policy
    with pytest.raises(ValueError, match="strength"):
        policy.scaled(1.01)


def test_mixing_one_class_is_refused_by_name() -> None:
    for asked, key in ((Augment(mixup=0.2), "augment.mixup"), (Augment(cutmix=1.0), "augment.cutmix")):
        problem = check(resolve("none", asked, True), 1)
        assert problem is not None
        assert problem.startswith(f"{key}: ")
        assert "\n" not in problem
        assert check(resolve("none", asked, True), 2) is None
    assert check(resolve("strong", Augment(), True), 1) is None


def test_keys_without_effect_are_named() -> None:
    def idle(preset: str, channels: int, **keys: object) -> tuple[str, ...]:
        asked = Augment(**keys)
        return without_effect(asked, resolve(preset, asked, True), channels)

    assert idle("standard", 3, crop_scale=0.5, magnitude=5.0) == ("crop_scale", "magnitude")
    assert idle("strong", 3, crop_scale=0.5, magnitude=5.0, operations=1) == ()
    assert idle("strong", 3, policy="trivialaugment", operations=2) == ("operations",)
    assert idle("contrastive", 1, hue=0.1, greyscale=0.3, jitter=0.3) == ("hue", "greyscale")
    assert idle("contrastive", 1, hue=0.0) == ()


def test_a_person_is_told_of_keys_without_effect(opened: Callable[..., object]) -> None:
    told: list[str] = []
    keys = {"dataset": "digits", "image_size": 8, "augment": "standard"}
    opened(**keys, report=told.append, changes=Augment(crop_scale=0.5, greyscale=0.1))
    assert [line.split()[0] for line in told] == ["augment.crop_scale", "augment.greyscale"]
    told.clear()
    opened(**keys, report=told.append, changes=Augment(jitter=0.1))
    assert told == []


def test_a_policy_needs_no_torch() -> None:
    program = (
        "import sys\nfrom workbench.data.policy import resolve\nfrom workbench.profile.schema import Augment\n"
        "resolve('strong', Augment(), True)\nassert not {'torch', 'numpy', 'PIL', 'textual'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
