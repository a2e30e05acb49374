"""ShuffleNet: every layer, and the complexities of the paper (no other implementation to compare with)."""

from collections.abc import Iterator

import pytest
import torch
from layer_walk import output_shapes

import architectures
from architectures.shufflenet_v1 import channel_shuffle
from workbench.inspect.counts import count_macs, count_parameters
from workbench.inspect.meta import on_meta

GROUPS = [1, 2, 3, 4, 8]
WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # output channels of stage 2, table 1


def units() -> Iterator[tuple[str, int, int, int]]:
    """Name, stride, output side and factor on the stage-2 width of every unit of table 1, for 224 px."""
    for number, (stage, repeats, side) in enumerate([("stage2", 3, 28), ("stage3", 7, 14), ("stage4", 3, 7)]):
        for i in range(1 + repeats):
            yield f"{stage}.{i}", 2 if i == 0 else 1, side, 2**number


@pytest.mark.parametrize("groups", GROUPS)
def test_every_layer_has_the_papers_shape_and_parameters(groups: int) -> None:
    expected_shapes: dict[str, tuple[int, ...]] = {"stem.0": (24, 112, 112), "stem": (24, 56, 56)}
    expected_params = {"stem": 24 * 27 + 2 * 24}
    channels, side_before = 24, 56
    for name, stride, side, factor in units():
        out = WIDTHS[groups] * factor
        middle = out // 4
        branch = out - channels if stride == 2 else out
        first_groups = 1 if name == "stage2.0" else groups
        expected_shapes |= {
            f"{name}.conv1": (middle, side_before, side_before),
            f"{name}.conv2": (middle, side, side),
            f"{name}.conv3": (branch, side, side),
            name: (out, side, side),
        }
        expected_params |= {
            f"{name}.conv1": channels * middle // first_groups,
            f"{name}.conv2": 9 * middle,
            f"{name}.conv3": middle * branch // groups,
            name: channels * middle // first_groups + 9 * middle + middle * branch // groups + 4 * middle + 2 * branch,
        }
        channels, side_before = out, side
    expected_shapes["fc"] = (1000,)
    expected_params["fc"] = 1001 * channels - channels + 1000
    name = f"shufflenet_v1_g{groups}"
    assert output_shapes(name, expected_shapes) == expected_shapes
    with on_meta():
        network = architectures.create(name)
    assert {layer: count_parameters(network.get_submodule(layer)) for layer in expected_params} == expected_params


@pytest.mark.parametrize(("groups", "millions"), [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])  # table 1
def test_macs_are_the_papers(groups: int, millions: int) -> None:
    macs = count_macs(architectures.create(f"shufflenet_v1_g{groups}"), 3, 224)
    assert macs == pytest.approx(millions * 1e6, rel=0.02)


@pytest.mark.parametrize(("scale", "millions"), [(0.5, 38), (1.5, 292), (2.0, 524)])  # tables 2 and 5
def test_macs_at_other_scales_are_the_papers(scale: float, millions: int) -> None:
    macs = count_macs(architectures.create("shufflenet_v1_g3", scale=scale), 3, 224)
    assert macs == pytest.approx(millions * 1e6, rel=0.02)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("scale", [0.25, 0.5, 0.7, 1.5, 2.0])
def test_any_scale_builds_and_runs(groups: int, scale: float) -> None:
    with on_meta():
        network = architectures.create(f"shufflenet_v1_g{groups}", num_classes=7, scale=scale, image_size=33)
        assert network(torch.empty(2, 3, 33, 33)).shape == (2, 7)


def test_the_shuffle_deals_each_group_out_over_all() -> None:
    x = torch.tensor([11, 12, 21, 22, 31, 32]).reshape(1, 6, 1, 1)
    assert channel_shuffle(x, 3).flatten().tolist() == [11, 21, 31, 12, 22, 32]


def test_without_the_shuffle_groups_would_never_meet() -> None:
    """Every output channel of a unit's branch depends on every input channel, though both 1x1 are grouped."""
    unit = architectures.create("shufflenet_v1_g3").stage2[1].double().eval()
    x = torch.randn(1, 240, 3, 3, dtype=torch.float64, requires_grad=True)
    branch = unit.conv3(unit.conv2(channel_shuffle(unit.conv1(x), 3)))
    for group in range(3):
        (gradient,) = torch.autograd.grad(branch[:, 80 * group].sum(), x, retain_graph=True)
        assert (gradient.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="scale must be more than 0"):
        architectures.create("shufflenet_v1_g3", scale=0)
