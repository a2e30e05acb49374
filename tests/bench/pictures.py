"""The README's pictures: the real app with real runs, as SVG.

    python -m tests.bench.pictures --runs RUNS --out docs/pictures

RUNS is a folder of runs, such as a sweep over all rows leaves. The names of runs to show can be given; nothing in them
is made up.
"""

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from workbench.runs.store import RunStore
from workbench.tui.app import Workbench

SIZE = (120, 36)
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
Story = Callable[[Workbench, Pilot[None]], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--compare", default="resnet18,densenet40_k12_bc,mobilenet_v2", help="networks, by comma")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs_there = sorted(RunStore(options.runs).runs(), key=lambda run: run.id, reverse=True)
    first = {run.arch: run.id for run in runs_there if run.state == "finished"}
    chosen = [first[name] for name in options.compare.split(",")]
    stories: dict[str, Story] = {
        "models": models, "profile": profile, "train": train_of(chosen[0]), "compare": compare_of(chosen),
    }  # fmt: skip
    for name, story in stories.items():
        path = options.out / f"{name}.svg"
        path.write_text(asyncio.run(picture(options.runs, story)), encoding="utf-8")
        print(f"{path}: {path.stat().st_size:,} bytes")


async def picture(root: Path, story: Story) -> str:
    """The app's screen after a story."""
    app = Workbench(root, preload=False)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1.0)
        await story(app, pilot)
        app.clear_notifications()
        await pilot.pause(1.0)
        return without_fetched_fonts(app.export_screenshot(title="cnn-workbench"))


def without_fetched_fonts(svg: str) -> str:
    """A picture that asks no other server for anything."""
    return re.sub(r"\s*@font-face\s*\{[^}]*\}", "", svg).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
    )


async def models(app: Workbench, pilot: Pilot[None]) -> None:
    await pilot.press("slash", *"se_resnet18", "enter")
    await pilot.pause(0.5)
    await pilot.press("escape")


async def profile(app: Workbench, pilot: Pilot[None]) -> None:
    from workbench.profile import find

    app.edit_profile(find("papers/vit"))
    await pilot.pause(2.0)
    await pilot.press("slash", *"optim.lr", "enter", "enter", "ctrl+u", *"0.001", "enter", "escape")
    await pilot.press("c")
    await pilot.pause(8.0)  # torch, for the memory


def train_of(run: str) -> Story:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.open_run(run)
        await pilot.pause(4.0)
        await pilot.press("end", *["left"] * 30)
        await pilot.pause(2.0)

    return story


def compare_of(chosen: list[str]) -> Story:
    async def story(app: Workbench, pilot: Pilot[None]) -> None:
        app.compare(chosen)
        await pilot.pause(5.0)

    return story


if __name__ == "__main__":
    main()
