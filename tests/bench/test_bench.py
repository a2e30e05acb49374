"""The benchmarks measure what they say: small versions of them, and the arithmetic that a wrong figure would hide in.

No time is judged here.
"""

import argparse
import asyncio
import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_runs import make_run

from tests.bench import common, loop, screen, screen_parts, versus_plain
from tests.bench.common import Conductor, Span
from workbench.data import open_dataset
from workbench.profile.schema import Data
from workbench.runs.run import Run
from workbench.training.observer import Snapshot

CPU = torch.device("cpu")


def options(**values: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"device": "cpu", "blocks": 2, "seconds": 0.01, "images": 640, **values})


def snapshot(epoch: int, done: int, phase: str = "train", total: int = 4) -> Snapshot:
    return Snapshot(phase, epoch, 9, done, total, None, None, None, None)  # type: ignore[arg-type]


class Recorded:
    """A script that times turns of two steps and notes after which step each began and ended."""

    def __init__(self, turns: int, *, settle: bool) -> None:
        self.turns, self.settle = turns, settle
        self.spans: list[tuple[Span, tuple[int, int]]] = []

    def script(self, trainer: Conductor) -> Iterator[None]:
        for _ in range(self.turns):
            span = yield from trainer.timed_steps(2, CPU, settle=self.settle)
            self.spans.append((span, trainer.position))


def test_the_trainer_makes_exactly_the_timed_steps() -> None:
    recorded = Recorded(2, settle=True)
    conductor = Conductor(recorded.script)
    for step in range(1, 9):
        assert not conductor.stop.requested()
        conductor.progress(snapshot(1, step, total=20))
        if conductor.finished:
            break
    # From step 1 on: one to settle, two timed; then again.
    assert [position for _, position in recorded.spans] == [(1, 4), (1, 7)]
    assert conductor.stop.requested()


def test_a_turn_in_which_an_epoch_ended_is_made_again() -> None:
    recorded = Recorded(1, settle=False)
    conductor = Conductor(recorded.script)
    reports = [snapshot(1, 3), snapshot(1, 4), snapshot(1, 1, "test"), snapshot(2, 1), snapshot(2, 2), snapshot(2, 3)]
    for report in reports:
        conductor.progress(report)
    assert [position for _, position in recorded.spans] == [(2, 3)]


def test_a_mistake_in_the_script_ends_the_run_and_is_told() -> None:
    def script(trainer: Conductor) -> Iterator[None]:
        yield
        raise ValueError("wrong")

    with common.random_images(640), pytest.raises(ValueError, match="wrong"):
        common.conducted_run(script, model="bn_convnet", size=16, batch=32, threads=1, device="cpu")


def test_a_run_that_cannot_be_says_why() -> None:
    script = Recorded(1, settle=False).script
    with pytest.raises(common.StoppedError, match="^data.image_size: inception_v3 needs images of at least 75 px"):
        common.conducted_run(script, model="inception_v3", size=32, batch=32, threads=1, device="cpu")


def test_random_images_take_the_real_way() -> None:
    with common.random_images(40, 8):
        dataset = open_dataset(Data(dataset="cifar10", image_size=32), seed=0, device=CPU, report=print)
    assert dataset.test is not None
    assert (dataset.train.size, dataset.test.size, dataset.channels) == (40, 8, 3)
    assert dataset.mean == pytest.approx((0.5,) * 3, abs=0.01)


def test_the_loop_is_compared_with_the_bare_step() -> None:
    case = {"model": "bn_convnet", "size": 16, "batch": 32, "threads": 1}
    figures = loop.measured(case, CPU, options(blocks=3))
    assert len(figures["ratio"]["values"]) == 3
    assert len(figures["same"]["values"]) == 1
    low, high = figures["ratio"]["quartiles"]
    assert 0 < low <= figures["ratio"]["median"] <= high
    assert figures["bare_step"] == "eager"
    assert (figures["precision"], figures["channels_last"]) == ("fp32", False)
    assert "holds" not in figures
    json.dumps(figures)


def test_a_ratio_is_the_trainers_speed_over_the_bare_steps() -> None:
    ours, theirs = [Span(2.0, 1.0), Span(4.0, 2.0)], [Span(1.0, 0.5), Span(1.0, 1.0)]
    figures = loop.compared(ours, theirs, 100)
    assert figures["ratio"]["values"] == [0.5, 0.25]
    assert figures["cpu_ratio"]["values"] == [0.5, 0.5]
    assert figures["trainer_images_per_second"] == pytest.approx(200 / 6, abs=0.01)
    assert figures["bare_images_per_second"] == 100.0
    assert figures["same"]["values"] == [1.0]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_is_read_off_the_weights(layout: torch.memory_format) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.Conv2d(8, 8, 1), torch.nn.Conv2d(8, 8, 3))
    assert common.is_channels_last(network.to(memory_format=layout)) == (layout is torch.channels_last)


@pytest.fixture
def few_digits(tmp_path: Path) -> Path:
    """MNIST's files with 200 and 20 random images."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    for part, count in (("train", 200), ("t10k", 20)):
        pixels = torch.randint(256, (count, 28, 28), dtype=torch.uint8, generator=rng)
        labels = (torch.arange(count) % 10).to(torch.uint8)
        head = struct.pack(">4i", 2051, count, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.numpy().tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.numpy().tobytes())
    return tmp_path


def test_the_trainer_is_compared_with_the_usual_script(few_digits: Path) -> None:
    case = {"model": "bn_convnet", "size": 32, "batch": 8, "threads": 1}
    figures = versus_plain.measured(case, few_digits, CPU, options(workers="0"))
    kinds = [(script["transforms"], script["workers"]) for script in figures["scripts"]]
    assert kinds == [("seed", 0), ("grey", 0), ("lean", 0)]
    assert figures["ratio"] == figures["scripts"][0]["ratio"]
    assert all(len(script["ratio"]["values"]) == 2 for script in figures["scripts"])


def test_the_usual_script_learns_from_the_same_pictures(few_digits: Path) -> None:
    case = {"model": "bn_convnet", "size": 32, "batch": 8, "threads": 1}
    for kind in ("seed", "grey", "lean"):
        script = versus_plain.Script(case, few_digits, CPU, kind, workers=0)
        images, labels = next(iter(script.loader))
        assert images.shape == (8, 1 if kind == "lean" else 3, 32, 32)
        before = [parameter.clone() for parameter in script.network.parameters()]
        script.run(2)
        assert script.running_loss > 0
        assert any(not torch.equal(a, b) for a, b in zip(before, script.network.parameters(), strict=True))
        assert labels.max() < 10


def test_packed_mnist_is_unpacked_for_torchvision(few_digits: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in (few_digits / "MNIST" / "raw").iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    versus_plain.unpack_mnist(packed, tmp_path / "root")
    for file in (few_digits / "MNIST" / "raw").iterdir():
        assert (tmp_path / "root" / "MNIST" / "raw" / file.name).read_bytes() == file.read_bytes()


def test_steps_between_two_moments_are_counted_with_their_parts() -> None:
    run = screen.ThreadedRun.__new__(screen.ThreadedRun)
    run.problem = None
    run.times, run.epochs = [1.0, 2.0, 4.0, 5.0, 6.0], [1, 1, 1, 1, 2]
    assert run.steps_between(1.5, 4.5) == pytest.approx(2.0)
    assert run.steps_between(2.5, 3.5) == pytest.approx(0.5)
    assert run.steps_between(1.5, 5.5) is None  # an epoch ended in between
    assert run.steps_between(0.5, 3.0) is None  # nothing is known of the time before the first step


def test_the_screen_that_is_measured_shows_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_run(tmp_path)

    async def live() -> str:
        app = screen.Shown(run, hz=10.0)
        app.while_shown = lambda: asyncio.sleep(0)
        async with app.run_test(size=(screen.COLUMNS, screen.ROWS)) as pilot:
            for _ in range(100):
                await pilot.pause(0.05)
                look = getattr(app.screen, "look", None)
                if look is not None and look.path.name == run.name:
                    break
            return str(look.path.name)

    assert asyncio.run(live()) == run.name


def test_a_chart_of_eight_runs_is_read_drawn_and_timed_in_its_parts() -> None:
    figures = screen_parts.chart(3000, 1)["chart"]
    assert len(figures["values"]) == 5
    assert all(figures[part] > 0 for part in ("read", "draw", "ui"))
    assert figures["median"] == pytest.approx(figures["read"] + figures["draw"] + figures["ui"], rel=1)
    assert figures["holds"] == (figures["median"] <= figures["bar"])


def test_pages_of_the_real_table_are_timed() -> None:
    figures = screen_parts.table(150, 1)["table"]
    assert len(figures["values"]) == 10
    assert 0 < figures["median"] < 5
    assert "holds" in figures


def test_the_run_that_is_watched_for_bytes_is_one_that_lives_and_grows(tmp_path: Path) -> None:
    growing = screen_parts.Growing(tmp_path)
    run = Run(growing.run_.path)
    assert run.state.name == "running"
    growing.start()
    while not run.history.last_step:
        growing.over.wait(0.02)
        run.refresh()
    growing.end()
    run.refresh()
    assert run.state.name == "finished"
    assert run.damaged == 0


def test_a_program_is_timed_to_its_first_content_and_counted_by_what_it_writes(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with screen_parts.program(tmp_path / "runs", 80, 24) as shown:
        seconds = shown.until(screen_parts.FIRST_NAME)
        before = shown.busy()
        assert seconds > 0
        shown.read(1.0)
        shown.press(b"\x1b[B" * 5)
        assert len(shown.read(1.0)) > 100
        assert shown.busy() >= before > 0
    assert shown.process.poll() is not None


def test_a_part_that_there_is_not_is_told() -> None:
    with pytest.raises(SystemExit, match="no such part: chrat; there are first, attach, bytes, chart, table"):
        screen.parts(argparse.Namespace(only="chart,chrat"))


def test_the_exit_code_says_whether_the_bars_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for holds, code in ((True, 0), (False, 1)):
        with pytest.raises(SystemExit) as ended:
            common.finish({"holds": holds}, str(tmp_path / "new" / "report.json"))
        assert ended.value.code == code
        assert json.loads(capsys.readouterr().out)["holds"] is holds
        assert json.loads((tmp_path / "new" / "report.json").read_text())["holds"] is holds
