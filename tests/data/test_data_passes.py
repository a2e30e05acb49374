"""Whole passes with every operation on: the picture of a sample is its own, and no batch asks the device anything."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
import torch
from sync_counter import count_syncs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.data.keys import generator
from workbench.data.policy import PRESETS, Policy
from workbench.data.prefetch import prefetch
from workbench.data.sources import Resident
from workbench.data.splits import Batch, Recipe, Split, part_of
from workbench.data.stages import ASPECTS, ERASE_AREA, ERASE_ASPECTS, crop_boxes, erase_boxes
from workbench.data.walk import Walk

EVERYTHING = Policy(
    crop="resized",
    flip=True,
    jitter=0.8,
    jitter_probability=0.8,
    hue=0.2,
    greyscale=0.2,
    blur=0.5,
    policy="randaugment",
    operations=2,
    erase=0.4,
)
POLICIES = {
    **PRESETS,
    "everything": EVERYTHING,
    "trivial": Policy(crop="pad", flip=True, policy="trivialaugment", operations=1, magnitude=30),
    "flip": Policy(flip=True),
}
MIXED = replace(EVERYTHING, mixup=0.4, cutmix=1.0)
CPU = torch.device("cpu")


def split(
    policy: Policy, shape: tuple[int, ...] = (83, 3, 12, 12), size: int = 12, device: torch.device = CPU
) -> Split:
    """A made-up split: noise on a ramp, so that no two images or rows are alike."""
    images = torch.randint(256, shape, generator=generator("stored", *shape), dtype=torch.uint8)
    images = (images // 4 + torch.arange(shape[2], dtype=torch.uint8)[:, None] * (160 // shape[2])).to(torch.uint8)
    mean, std = (torch.full((shape[1], 1, 1), value, device=device) for value in (0.4, 0.3))
    rows, labels = torch.arange(shape[0]), torch.arange(shape[0]) % 10
    return Split(Resident(images, "made up", device), rows, labels, Recipe(size, mean, std, 5), policy)


def together(batches: Iterator[Batch]) -> list[Tensor]:
    parts = [batch.tensors() for batch in batches]
    return [torch.cat(tensors) for tensors in zip(*parts, strict=True)]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_of_a_sample_does_not_depend_on_batch_size(name: str, channels: int) -> None:
    made = split(POLICIES[name], (83, channels, 12, 12), 20)
    first = together(made.batches(83, epoch=1))
    for batch_size in (1, 7, 64):
        assert same(together(made.batches(batch_size, epoch=1)), first)
    if name != "none":
        assert not torch.equal(first[0], together(replace(made, policy=Policy()).batches(83, epoch=1))[0])


@pytest.mark.parametrize("policy", [EVERYTHING, POLICIES["trivial"]], ids=["everything", "trivial"])
def test_parts_that_fit_the_cache_make_no_difference(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    made = split(policy)
    whole = together(made.batches(40, epoch=0))
    monkeypatch.setattr("workbench.data.walk.CACHE", 4 * 3 * 12 * 12 * 5 + 1)
    assert same(together(made.batches(40, epoch=0)), whole)


@pytest.mark.parametrize("policy", [EVERYTHING, MIXED], ids=["everything", "mixed"])
@pytest.mark.parametrize("start", [1, 4, 5, 9])
def test_starting_inside_an_epoch_gives_the_same_rest(policy: Policy, start: int) -> None:
    made = split(policy)
    whole = list(islice(made.batches(17, epoch=3), start, None))
    rest = list(made.batches(17, epoch=3, start=start))
    assert len(rest) == len(whole) == max(0, 5 - start)
    for one, other in zip(whole, rest, strict=True):
        assert same(one.tensors(), other.tensors())


@pytest.mark.parametrize("policy", [PRESETS["standard"], MIXED], ids=["standard", "mixed"])
@pytest.mark.parametrize("world", [2, 3, 7])
def test_ranks_together_have_what_one_has(policy: Policy, world: int) -> None:
    made = split(policy)
    whole = list(made.batches(19, epoch=2, start=1))
    ranks = [list(made.batches(19, epoch=2, start=1, shard=(rank, world))) for rank in range(world)]
    for number, batch in enumerate(whole):
        parts = [rank[number] for rank in ranks]
        assert same(together(iter(parts)), batch.tensors())
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 2
        assert all(size % 2 == 0 for size in sizes[:-1])


def test_evaluation_counts_each_image_once_whatever_the_number_of_ranks() -> None:
    made = split(MIXED, (9, 1, 8, 8), 8)
    for world in (1, 2, 4, 16):
        ranks = [together(made.batches(8, shard=(rank, world))) for rank in range(world)]
        assert sum(len(labels) for _, labels in ranks) == 9
        assert sorted(torch.cat([labels for _, labels in ranks]).tolist()) == list(range(9))
        assert sum(images[:, 0, 0, 0].sum().item() for images, _ in ranks) == pytest.approx(
            together(made.batches(9))[0][:, 0, 0, 0].sum().item(), abs=1e-4
        )


def test_more_ranks_than_pairs_leave_empty_batches_of_the_right_shape() -> None:
    assert [part_of((10, 13), rank, 4) for rank in range(4)] == [(10, 10), (10, 12), (12, 12), (12, 13)]
    made = split(MIXED, (3, 3, 8, 8), 24)
    batches = [next(made.batches(3, epoch=0, shard=(rank, 4))) for rank in range(4)]
    assert [len(batch) for batch in batches] == [0, 2, 0, 1]
    assert batches[0].images.shape == (0, 3, 24, 24)
    assert batches[0].other is not None


@pytest.mark.parametrize("shape", [(40, 1, 8, 8), (40, 3, 8, 8), (12, 3, 40, 24), (20, 1, 28, 28)])
@pytest.mark.parametrize("size", [8, 37])
def test_any_picture_survives_everything(shape: tuple[int, ...], size: int) -> None:
    for policy in (MIXED, replace(MIXED, policy="trivialaugment", operations=1, magnitude=30, crop="pad")):
        for batch in split(policy, shape, size).batches(16, epoch=0):
            assert batch.images.shape[1:] == (shape[1], size, size)
            assert batch.images.dtype == torch.float32
            assert batch.images.isfinite().all()
            assert batch.images.abs().max() < 2.1  # (1 - 0.4) / 0.3 and -0.4 / 0.3


def test_colour_leaves_pictures_of_one_channel_alone() -> None:
    made = split(Policy(hue=0.5, greyscale=1.0), (30, 1, 8, 8), 8)
    plain = replace(made, policy=Policy())
    assert same(together(made.batches(30, epoch=0)), together(plain.batches(30, epoch=0)))


def test_probabilities() -> None:
    """Counted on the pictures themselves: which differ from those of a pass without the operation."""
    shape = (4000, 3, 8, 8)
    plain = together(split(Policy(), shape, 8).batches(500, epoch=0))[0]
    for policy, expected in (
        (Policy(flip=True), 0.5),
        (Policy(greyscale=0.2), 0.2),
        (Policy(erase=0.25), 0.25),
        (Policy(jitter=0.8, hue=0.2, jitter_probability=0.8), 0.8),
    ):
        changed = (together(split(policy, shape, 8).batches(500, epoch=0))[0] != plain).flatten(1).any(1)
        assert abs(changed.float().mean().item() - expected) < 0.03  # standard deviation at most 0.008


def walk_over(n: int, shape: tuple[int, int, int], size: int) -> Walk:
    return Walk(torch.arange(n), [(0, n)], n, shape, size, 1, 0, CPU)


def test_resized_crops_have_the_area_and_shape_of_the_paper() -> None:
    walk = walk_over(20_000, (3, 224, 224), 224)
    top, left, height, width = crop_boxes(walk, 0.08).float().unbind(1)
    assert min(top.min(), left.min()) >= 0
    assert max((top + height).max(), (left + width).max()) <= 224
    assert ((top + height) == 224).any()
    area, aspect = height * width / 224**2, width / height
    assert 0.075 < area.min() < 0.09
    assert 0.45 < area.mean() < 0.54  # uniform would be 0.54; a large area of another shape does not fit
    inside = (aspect > ASPECTS[0] - 0.02) & (aspect < ASPECTS[1] + 0.02)
    assert inside.float().mean() > 0.999
    assert abs(aspect.log().mean().item()) < 0.01
    assert abs((left / (224 - width).clamp_min(1)).mean().item() - 0.5) < 0.02


def test_erased_rectangles_have_the_area_and_shape_of_the_paper() -> None:
    size = 224
    boxes = erase_boxes(walk_over(20_000, (3, 32, 32), size)).float()
    top, left, height, width = boxes.unbind(1)
    assert boxes.min() >= 0
    assert max((top + height).max(), (left + width).max()) <= size
    area, aspect = height * width / size**2, height / width
    assert ERASE_AREA[0] * 0.9 < area.min()
    assert area.max() < ERASE_AREA[1] * 1.02
    assert abs(area.mean().item() - sum(ERASE_AREA) / 2) < 0.02
    assert ERASE_ASPECTS[0] * 0.9 < aspect.min()
    assert aspect.max() < ERASE_ASPECTS[1] * 1.1
    assert abs(aspect.log().mean().item()) < 0.02


def test_erasing_is_the_same_part_of_a_picture_of_any_size_and_of_random_bytes() -> None:
    made, plain = split(Policy(erase=1.0), (200, 3, 8, 8), 8), split(Policy(), (200, 3, 8, 8), 8)
    small = together(made.batches(200, epoch=0))[0] != together(plain.batches(200, epoch=0))[0]
    at_32 = [together(one.batches(200, epoch=0, size=32))[0] for one in (made, plain)]
    large = at_32[0] != at_32[1]
    parts = [erased.float().mean((1, 2, 3)) for erased in (small, large)]
    assert (parts[0] - parts[1]).abs().mean() < 0.03
    assert abs(parts[1].mean().item() - sum(ERASE_AREA) / 2) < 0.03
    values = at_32[0][large] * 0.3 + 0.4
    assert abs(values.mean().item() - 0.5) < 0.01
    assert abs(values.std().item() - (1 / 12) ** 0.5) < 0.01


def test_strength_changes_degree_and_not_choice() -> None:
    made = split(Policy(erase=0.6), (400, 1, 8, 8), 8)
    plain = together(split(Policy(), (400, 1, 8, 8), 8).batches(400, epoch=0))[0]
    full, half = (together(made.batches(400, epoch=0, strength=s))[0] for s in (1.0, 0.5))
    at_full, at_half = ((images != plain).flatten(1).any(1) for images in (full, half))
    assert (at_half & ~at_full).sum() == 0
    assert 0.2 < at_half.float().mean() < 0.4
    assert torch.equal(full[at_half], half[at_half])
    jittered = split(Policy(jitter=0.8), (400, 1, 8, 8), 8)
    changes = [(together(jittered.batches(400, epoch=0, strength=s))[0] - plain).abs().mean() for s in (0.0, 0.5, 1.0)]
    assert changes[0] < 1e-6
    assert changes[1] < 0.7 * changes[2]


def test_a_smaller_size_is_the_same_picture_smaller() -> None:
    made = split(Policy(crop="resized", flip=True), (20, 3, 32, 32), 32)
    large = together(made.batches(20, epoch=0))[0]
    small = together(made.batches(20, epoch=0, size=16))[0]
    assert small.shape[-1] == 16
    torch.testing.assert_close(small.mean((2, 3)), large.mean((2, 3)), atol=0.02, rtol=0)


class Uploads(TorchDispatchMode):
    """Counts copies from main memory to the device; raises what the device raises when a value is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        sources = [a for a in args if isinstance(a, Tensor)]
        if isinstance(result, Tensor) and result.is_meta and any(not a.is_meta and a.numel() > 1 for a in sources):
            self.count += 1
        return result


@pytest.mark.parametrize("policy", [*POLICIES.values(), MIXED], ids=[*POLICIES, "mixed"])
def test_no_batch_waits_for_the_device(policy: Policy) -> None:
    """On the meta device, which has no values: reading one, or a shape that depends on one, is an error there.

    Nor is anything uploaded after the first batch: a copy from pageable memory also makes the host wait.
    """
    made = split(policy, (64, 3, 12, 12), 24, torch.device("meta"))
    with Uploads() as before:
        batches = made.batches(16, epoch=0)
        assert next(batches).images.is_meta
    assert before.count > 0
    with Uploads() as after, count_syncs() as seen:
        assert [batch.images.shape[0] for batch in batches] == [16, 16, 16]
    assert (after.count, seen) == (0, [])


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    together(split(MIXED).batches(16, epoch=0))
    assert torch.equal(before, torch.get_rng_state())


def test_part_of_a_batch() -> None:
    batch = next(split(MIXED).batches(16, epoch=0))
    assert len(batch) == 16
    assert same(together(iter([batch[:6], batch[6:]])), batch.tensors())
    assert len(next(split(Policy()).batches(16)).tensors()) == 2


def test_prefetch_passes_batches_through_where_there_is_no_stream() -> None:
    made = split(MIXED)
    assert same(together(prefetch(made.batches(16, epoch=0), CPU)), together(made.batches(16, epoch=0)))
    prepared = []

    def counted() -> Iterator[Batch]:
        for batch in made.batches(16):
            prepared.append(len(batch))
            yield batch

    ahead = prefetch(counted(), CPU)
    next(ahead)
    assert prepared == [16]


def test_prefetch_on_cuda_is_one_batch_ahead_and_waits_for_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of calls only; streams and events are stand-ins that write down what is asked of them."""
    log: list[str] = []

    class Stream:
        def __init__(self, name: object = "side") -> None:
            self.name = name if isinstance(name, str) else "side"

        def wait_stream(self, other: "Stream") -> None:
            log.append(f"{self.name} waits for {other.name}")

        def wait_event(self, event: "Event") -> None:
            log.append(f"{self.name} waits for batch {event.number}")

        def __enter__(self) -> None:
            log.append("(")

        def __exit__(self, *_: object) -> None:
            log.append(")")

    class Event:
        def record(self, stream: Stream) -> None:
            self.number = produced[-1]

    class Tensors:
        def __init__(self, number: int) -> None:
            self.number = number

        def tensors(self) -> "list[Tensors]":
            return [self]

        def record_stream(self, stream: Stream) -> None:
            log.append(f"batch {self.number} is used on {stream.name}")

    produced: list[int] = []

    def batches() -> Iterator[Tensors]:
        for number in range(2):
            produced.append(number)
            log.append(f"prepare {number}")
            yield Tensors(number)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("main"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    for batch in prefetch(batches(), torch.device("cuda")):  # type: ignore[arg-type]
        log.append(f"step {batch.number}")  # type: ignore[attr-defined]
    assert log == [
        *("side waits for main", "(", "prepare 0", ")", "(", "prepare 1", ")"),
        *("main waits for batch 0", "batch 0 is used on main", "step 0", "(", ")"),
        *("main waits for batch 1", "batch 1 is used on main", "step 1"),
    ]
