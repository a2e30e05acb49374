"""The batched, gather-based augmentation against the obvious one, image by image."""

import hashlib
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from workbench.data import Dataset
from workbench.data.augment import Draws, crop_and_flip, draw, padding, to_input
from workbench.data.keys import generator, key, order


def slow(image: Tensor, top: int, left: int, flip: bool) -> Tensor:
    """One image (C, H, W), the way a text book says it."""
    _, height, width = image.shape
    pad_y, pad_x = round(height / 8 + 1e-9), round(width / 8 + 1e-9)
    padded = F.pad(image, (pad_x, pad_x, pad_y, pad_y))
    cropped = padded[:, top : top + height, left : left + width]
    return cropped.flip(-1) if flip else cropped


def images(n: int, channels: int, height: int, width: int) -> Tensor:
    shape = (n, channels, height, width)
    return torch.randint(256, shape, generator=generator("test", *shape), dtype=torch.uint8)


@pytest.mark.parametrize(("side", "pad"), [(8, 1), (28, 4), (32, 4), (224, 28)])
def test_padding_is_an_eighth_of_the_side(side: int, pad: int) -> None:
    assert padding(side) == pad


@pytest.mark.parametrize("shape", [(40, 1, 8, 8), (40, 1, 28, 28), (40, 3, 32, 32), (20, 3, 40, 24), (20, 2, 13, 9)])
def test_crop_and_flip_equals_the_slow_way(shape: tuple[int, int, int, int]) -> None:
    n, _, height, width = shape
    batch = images(*shape)
    draws = draw(n, height, width, seed=1, epoch=2, mirror=True)
    fast = crop_and_flip(batch, draws)
    assert fast.dtype == torch.uint8
    for i in range(n):
        expected = slow(batch[i], int(draws.top[i]), int(draws.left[i]), bool(draws.flip[i]))
        assert torch.equal(fast[i], expected)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), channels=st.integers(1, 4), data=st.data())
def test_any_offset_of_any_shape(height: int, width: int, channels: int, data: st.DataObject) -> None:
    top = data.draw(st.integers(0, 2 * padding(height)))
    left = data.draw(st.integers(0, 2 * padding(width)))
    flip = data.draw(st.booleans())
    batch = images(1, channels, height, width)
    fast = crop_and_flip(batch, Draws(torch.tensor([top]), torch.tensor([left]), torch.tensor([flip])))
    pad_y, pad_x = padding(height), padding(width)
    padded = F.pad(batch, (pad_x, pad_x, pad_y, pad_y))[:, :, top : top + height, left : left + width]
    assert torch.equal(fast, padded.flip(-1) if flip else padded)


@pytest.mark.parametrize(("side", "size"), [(8, 32), (28, 28), (32, 224), (28, 37), (32, 20), (64, 32)])
def test_input_is_resized_and_normalised(side: int, size: int) -> None:
    batch = images(3, 3, side, side)
    mean, std = torch.tensor([0.1, 0.5, 0.4])[:, None, None], torch.tensor([0.2, 0.3, 0.25])[:, None, None]
    for image, got in zip(batch, to_input(batch, size, mean, std), strict=True):
        resized = F.interpolate(
            image[None].double() / 255, (size, size), mode="bilinear", align_corners=False, antialias=size < side
        )[0]
        expected = (resized - mean) / std
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected.float(), atol=2e-5, rtol=1e-5)


def test_draws_depend_on_seed_and_epoch_only() -> None:
    first = draw(500, 32, 32, seed=3, epoch=4, mirror=True)
    again = draw(500, 32, 32, seed=3, epoch=4, mirror=True)
    assert torch.equal(first.top, again.top)
    assert torch.equal(first.left, again.left)
    assert torch.equal(first.flip, again.flip)
    for seed, epoch in ((3, 5), (4, 4)):
        other = draw(500, 32, 32, seed=seed, epoch=epoch, mirror=True)
        assert not torch.equal(first.top, other.top)
        assert not torch.equal(first.flip, other.flip)


def test_draws_cover_their_range_evenly() -> None:
    draws = draw(20_000, 32, 32, seed=0, epoch=0, mirror=True)
    for offsets in (draws.top, draws.left):
        counts = torch.bincount(offsets, minlength=9)
        assert len(counts) == 9
        assert counts.min() > 2000  # 2222 expected, standard deviation 44
    assert abs(draws.flip.float().mean().item() - 0.5) < 0.02
    assert not draw(100, 32, 32, seed=0, epoch=0, mirror=False).flip.any()


def test_standard_augmentation_is_fixed_for_ever(opened: Callable[..., Dataset]) -> None:
    """Digests of what the first version made: runs that were begun with it go on to the bit."""
    cropped, batches = hashlib.sha256(), hashlib.sha256()
    for n, side in ((500, 32), (300, 28)):
        stored = torch.randint(256, (n, 3, side, side), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
        cropped.update(crop_and_flip(stored, draw(n, side, side, seed=1, epoch=2, mirror=True)).numpy().tobytes())
    assert cropped.hexdigest() == "df89fb5e188b0b4ef06efa9c2615d90f01984ced2191a5eae1c5dc2970b7df45"
    for batch in opened(dataset="digits", image_size=8, seed=3).train.batches(128, epoch=1):
        batches.update(batch.images.numpy().tobytes())
        batches.update(batch.labels.numpy().tobytes())
    assert batches.hexdigest() == "cc7f95612254c94fac53afe5f7edfd6a29c79e94446cb9c7dbd29410e869d497"


def test_keys_are_fixed_for_ever() -> None:
    """A changed value would make every older run unrepeatable."""
    assert key(0, "order", 0) == 416326477703946554
    assert 0 <= key("x") < 2**63
    assert key(1, 2) != key(12)
    assert key(1, "2") != key("1", 2)


def test_order_is_a_permutation_of_its_epoch() -> None:
    first = order(100, seed=0, epoch=0)
    assert first.sort().values.tolist() == list(range(100))
    assert torch.equal(first, order(100, seed=0, epoch=0))
    assert not torch.equal(first, order(100, seed=0, epoch=1))
    assert not torch.equal(first, order(100, seed=1, epoch=0))
