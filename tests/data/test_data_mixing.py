"""Mixup and CutMix: what is in the picture is what the label says."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from workbench.data.keys import generator
from workbench.data.mixing import Mixing, inside, pairs
from workbench.data.policy import Policy
from workbench.data.walk import Walk

KINDS = {"mixup": Policy(mixup=0.8), "cutmix": Policy(cutmix=1.0), "both": Policy(mixup=0.8, cutmix=1.0)}


def walk_over(samples: Tensor, sizes: list[int], total: int, size: int = 16, seed: int = 0) -> Walk:
    ends = np.cumsum([0, *sizes]).tolist()
    spans = list(pairwise(ends))
    return Walk(samples, spans, total, (1, 8, 8), size, seed, 2, torch.device("cpu"))


def mixing_of(policy: Policy, samples: Tensor, sizes: list[int], total: int, **keys: int) -> Mixing:
    """Labels are the sample numbers."""
    return Mixing(policy, walk_over(samples, sizes, total, **keys), samples)


def test_pairs_are_neighbours_inside_a_batch() -> None:
    first, partner = pairs(walk_over(torch.arange(12), [5, 4, 3], 12))
    assert partner.tolist() == [1, 0, 3, 2, 4, 6, 5, 8, 7, 10, 9, 11]
    assert first.tolist() == [0, 0, 2, 2, 4, 5, 5, 7, 7, 9, 9, 11]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [8, 15, 33])
def test_the_label_says_what_is_in_the_picture(kind: str, size: int) -> None:
    """Pictures of one value, their own label: the mean of a mixed one is the mean of its target."""
    n = 301
    samples = torch.randperm(n, generator=generator("samples"))
    mixing = mixing_of(KINDS[kind], samples, [n], n, size=size)
    plain = samples.float()[:, None, None, None].expand(n, 1, size, size).contiguous()
    mixed = mixing(plain, 0)
    target = mixed.share * samples + (1 - mixed.share) * mixed.other
    torch.testing.assert_close(mixed.images.mean((1, 2, 3)), target, atol=1e-3, rtol=1e-5)
    assert mixed.share.dtype == torch.float32
    assert mixed.share.min() >= 0
    assert mixed.share.max() <= 1
    assert torch.equal(mixed.other[:-1].view(-1, 2).flip(1).flatten(), samples[:-1])
    assert mixed.other[-1] == samples[-1]  # odd: the last has no partner
    assert mixed.share[-1] == 1
    assert torch.equal(mixed.images[-1], plain[-1])


def test_cutmix_pastes_one_box_and_both_of_a_pair_have_its_share() -> None:
    n, size = 400, 20
    mixing = mixing_of(KINDS["cutmix"], torch.arange(n), [n], n, size=size)
    plain = torch.arange(n).float()[:, None, None, None].expand(n, 2, size, size).contiguous()
    mixed = mixing(plain, 0)
    assert torch.equal(mixed.share[::2], mixed.share[1::2])
    for place in range(0, n, 2):
        foreign = mixed.images[place, 0] == place + 1
        assert ((mixed.images[place, 0] == place) | foreign).all()
        assert torch.equal(foreign, mixed.images[place + 1, 1] == place)
        rows, cols = foreign.any(1), foreign.any(0)
        assert torch.equal(foreign, rows[:, None] & cols)  # a rectangle
        assert foreign.sum() == round((1 - mixed.share[place].item()) * size * size)


def test_mixup_weighs_each_sample_by_its_own_lambda() -> None:
    n = 200
    mixing = mixing_of(KINDS["mixup"], torch.arange(n), [n], n, size=4)
    x = torch.randn((n, 3, 4, 4), generator=generator("x"))
    mixed = mixing(x, 0)
    share = mixed.share[:, None, None, None]
    torch.testing.assert_close(mixed.images, share * x + (1 - share) * x.view(-1, 2, 3, 4, 4).flip(1).view(x.shape))
    assert not torch.equal(mixed.share[::2], mixed.share[1::2])


@pytest.mark.parametrize("kind", KINDS)
def test_even_parts_of_a_batch_can_be_mixed_alone(kind: str) -> None:
    n = 31
    samples = torch.randperm(50, generator=generator("subset"))[:n]
    x = torch.randn((n, 1, 16, 16), generator=generator("parts"))
    whole = mixing_of(KINDS[kind], samples, [n], 50)(x, 0)
    for first, last in ((0, 10), (10, 24), (24, 31)):
        part = mixing_of(KINDS[kind], samples[first:last], [last - first], 50)(x[first:last], 0)
        assert torch.equal(part.images, whole.images[first:last])
        assert torch.equal(part.share, whole.share[first:last])
        assert torch.equal(part.other, whole.other[first:last])


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 4.0])
def test_lambda_has_the_beta_distribution(alpha: float) -> None:
    n = 20_000
    share = mixing_of(Policy(mixup=alpha), torch.arange(n), [n], n).share.values.double()
    assert abs(share.mean().item() - 0.5) < 0.02
    assert abs(share.var().item() - 1 / (4 * (2 * alpha + 1))) < 0.01
    assert share.isfinite().all()


def test_cutmix_boxes_cover_one_minus_lambda_before_they_are_clipped() -> None:
    """Centres are anywhere, so of a box of side r of the picture an expected r - r*r/4 of each side stays."""
    n, size = 20_000, 64
    share = mixing_of(KINDS["cutmix"], torch.arange(n), [n], n, size=size).share.values[::2].double()
    lam = np.linspace(0.0005, 0.9995, 1000)
    side = np.sqrt(1 - lam)
    expected = 1 - np.mean((side - side**2 / 4) ** 2)
    assert abs(share.mean().item() - expected) < 0.01


def test_each_kind_has_half_of_the_pairs() -> None:
    n = 20_000
    mixing = mixing_of(KINDS["both"], torch.arange(n), [n], n)
    assert mixing.boxes is not None
    whole = (mixing.boxes.values[::2] == torch.tensor([0, 0, 16, 16])).all(1)
    assert abs(whole.float().mean().item() - 0.5) < 0.03  # 10,000 pairs; a few boxes of CutMix are whole as well
    assert torch.equal(mixing.boxes.values[::2], mixing.boxes.values[1::2])


def test_a_box_is_the_same_part_of_pictures_of_any_size() -> None:
    n = 300
    small, large = (mixing_of(KINDS["cutmix"], torch.arange(n), [n], n, size=size) for size in (32, 64))
    assert small.boxes is not None
    assert large.boxes is not None
    assert (large.boxes.values - 2 * small.boxes.values).abs().max() <= 4


def test_inside_marks_the_box() -> None:
    marked = inside(torch.tensor([[1, 2, 2, 3], [0, 0, 0, 4], [3, 0, 1, 1]]), 5)
    assert marked.sum((1, 2)).tolist() == [6, 0, 1]
    assert marked[0, 1:3, 2:5].all()
    assert marked[2, 3, 0] == 1


def test_a_batch_of_no_images_stays_one() -> None:
    mixing = mixing_of(KINDS["both"], torch.arange(4), [2, 0, 2], 4)
    mixed = mixing(torch.empty((0, 1, 16, 16)), 1)
    assert mixed.images.shape == (0, 1, 16, 16)
    assert mixed.other.shape == mixed.share.shape == (0,)
