"""The one-line texts of the Train screen, made from a `Look`: each in as many columns as there are."""

import math
import re
import textwrap
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from workbench.base.plot import COLORS
from workbench.base.text import clean
from workbench.runs.curves import number
from workbench.runs.figures import in_words
from workbench.runs.units import clock, short_memory
from workbench.tui.board import SHAPES
from workbench.tui.run_series import title_of
from workbench.tui.usage import Usage
from workbench.tui.watching import Drawn, Look
from workbench.tui.widgets.chart_view import AXIS_NAMES, Series, View, any_positive, readings, sign, x_label

BAR = "█░"
APART = "  "
_DATED = re.compile(r"\d{8}-\d{6}-(?=.)")
"""How the id of a run begins."""


def fitted(pieces: Sequence[tuple[int, str]], width: int) -> str:
    """The texts side by side; those of the highest number are left out where there is no room for all."""
    kept = [(rank, text) for rank, text in pieces if text]
    while kept and len(APART.join(text for _, text in kept)) > width:
        worst = max(rank for rank, _ in kept)
        if worst == 0:
            break
        at = max(number for number, (rank, _) in enumerate(kept) if rank == worst)
        del kept[at]
    return APART.join(text for _, text in kept)[: max(width, 0)]


def head(look: Look, width: int, *, paused: bool) -> Text:
    """`● running  20261123-061842-quick  bn_convnet, digits  epoch 3 of 5, 40 %  ETA 00:12`."""
    status, live = look.status, look.live
    epochs, epoch = number(status.get("epochs")), number(status.get("epoch"))
    where = ""
    if epochs >= 1 and epoch >= 0:
        inside = number(status.get("step")) / number(status.get("steps")) * epochs - epoch if status.get("steps") else 0
        part = f", {min(max(inside, 0.0), 1.0):.0%}" if math.isfinite(inside) else ""
        where = (
            f"epoch {min(epoch + 1, epochs):.0f} of {epochs:.0f}{part}"
            if live
            else f"{epoch:.0f} of {epochs:.0f} epochs"
        )
    eta = number(status.get("eta"))
    data = look.settings.get("data")
    dataset = str(data.get("dataset", "")) if isinstance(data, dict) else ""
    time_to_go = f"ETA {clock(eta)}" if live and 0 <= eta < 1e9 else ""
    goes_on = ", P goes on" if look.state.name == "paused" else ""
    pieces = [
        (0, f"{SHAPES.get(look.state.name, '?')} {look.state.name}{goes_on}"),
        (1, look.run),
        (4, clean(", ".join(text for text in (str(look.facts.get("arch", "")), dataset) if text), 60)),
        (2, where),
        (3, time_to_go),
        (5, clean(look.state.detail, 80) if live or look.state.name == "unknown" else ""),
        (0, "DISPLAY PAUSED, p goes on" if paused else ""),
    ]
    line = fitted(pieces, width - 2)
    if where not in line or time_to_go not in line:  # how far it is matters more than when it was begun
        pieces[1] = (1, _DATED.sub("", look.run))
        line = fitted(pieces, width - 2)
    return Text(f" {line}", no_wrap=True, style="bold")


def progress(look: Look, width: int) -> Text:
    """`████████░░░░░░  57%  step 66 of 115  148 images/s  00:31`."""
    status = look.status
    step, steps = number(status.get("step")), number(status.get("steps"))
    share = min(max(step / steps, 0.0), 1.0) if steps > 0 and math.isfinite(step) else 0.0
    speed, seconds = number(status.get("images_per_second")), number(status.get("seconds"))
    words = fitted(
        [
            (0, f"{share:4.0%}"),
            (1, f"step {step:,.0f} of {steps:,.0f}" if math.isfinite(step + steps) else "no step yet"),
            (2, f"{in_words(speed, 'rate')} images/s" if math.isfinite(speed) else ""),
            (3, clock(seconds) if 0 <= seconds < 1e10 else ""),
        ],
        width - 2,
    )
    room = max(width - len(words) - 4, 0)
    full = round(room * share)
    return Text(f" {BAR[0] * full}{BAR[1] * (room - full)}  {words}", no_wrap=True)


def facts(look: Look, width: int) -> Text:
    """`best 97.77 % in epoch 3 (test)  lr 0.03  memory 809 MB  1.9 cores  checkpoint 06:19:37`."""
    best = look.status.get("best")
    best = best if isinstance(best, dict) else {}
    value, split = number(best.get("top1")), clean(str(best.get("split", "")), 10)
    peak = number(look.status.get("peak_memory"))
    usage = look.usage
    pieces = [
        (
            0,
            f"best {value * 100:.2f} % in epoch {best.get('epoch')} ({split})"
            if math.isfinite(value)
            else "no best yet",
        ),
        (1, f"lr {look.lr:.4g}" if math.isfinite(look.lr) else ""),
        (4, f"peak memory {short_memory(peak)}" if peak > 0 and math.isfinite(peak) else ""),
        *_of_machine(usage),
        (3, f"device {clean(str(look.facts.get('device')), 12)}" if look.facts.get("device") else ""),
        (1, f"{look.damaged} damaged lines" if look.damaged else ""),
    ]
    return Text(f" {fitted(pieces, width - 2)}", no_wrap=True)


def _of_machine(usage: Usage | None) -> list[tuple[int, str]]:
    """`gpu 93 % 71 °C  11.2 of 24.0 GB  318 W  cpu 1.9 cores, 809 MB`: what is known, and nothing of what is not."""
    if usage is None:
        return []
    gpu, cores, memory = usage.gpu, usage.cpu, usage.memory
    cpu = [f"{cores:.1f} cores" if cores is not None else "", short_memory(memory) if memory is not None else ""]
    words = ", ".join(filter(None, cpu))
    found = [(3 if gpu else 2, f"cpu {words}" if words else "")]
    if gpu is None:
        return found
    degrees = f"{gpu.temperature:.0f} °C" if gpu.temperature is not None else ""
    use = [f"{gpu.use * 100:.0f} %" if gpu.use is not None else "", degrees]
    total = f" of {gpu.memory_total / 1e9:.1f}" if gpu.memory_total else ""
    watts = f"{gpu.power:.0f}" if gpu.power is not None else ""
    limit = f" of {gpu.power_limit:.0f}" if gpu.power_limit else ""
    return [
        (1, f"gpu {' '.join(filter(None, use))}" if any(use) else "gpu"),
        (2, f"{gpu.memory / 1e9:.1f}{total} GB" if gpu.memory is not None else ""),
        (3, f"{watts}{limit} W" if watts else ""),
        *found,
    ]


def alert_lines(look: Look, width: int, most: int) -> Text:
    """One line each: `!` for what is serious, `i` for the rest. The gravest comes first and may take a second line."""
    lines = [f" {'!' if alert.serious else 'i'} {clean(alert.text, 300)}" for alert in look.alerts]
    if len(lines) > most:
        lines[most - 1 :] = [f" … and {len(lines) - most + 1} more"]
    first = textwrap.wrap(lines[0].strip(), max(width - 1, 8), subsequent_indent="  ")[:2] if lines else []
    return Text("\n".join([*(f" {line}" for line in first), *(line[:width] for line in lines[1:])]), no_wrap=True)


def chart_title(drawn: Drawn, view: View, width: int, *, focused: bool) -> Text:
    """`▸ loss  ━ train 0.41  ┅ test 0.52 (best 0.50 @6)   log  smooth 0.6  x epoch`, or the values at the cursor.

    How it is drawn answers a key, so it stays where there is no room for the best values too.
    """
    how = [
        "log" if drawn.wanted.log and any_positive(drawn.series) else "",
        f"smooth {view.smoothing:g}" if view.smoothing else "",
        "zoom" if view.window else "",
        f"x {AXIS_NAMES[view.axis]}",
    ]
    title = _readings(drawn, view, focused=focused, best=True)
    if title.cell_len + 2 + len(APART.join(filter(None, how))) > width:
        title = _readings(drawn, view, focused=focused, best=False)
    right = fitted([(4 - place, text) for place, text in enumerate(how)], width - title.cell_len - 2)
    room = width - title.cell_len - len(right) - 1
    if room >= 2:
        title.append(" " * room)
        title.append(right, style="dim")
    return title


def _readings(drawn: Drawn, view: View, *, focused: bool, best: bool) -> Text:
    title = Text("▸ " if focused else "  ", no_wrap=True)
    title.append(title_of(drawn.wanted.metric), style="bold" if focused else "")
    if view.cursor is not None:
        title.append(f"  at {AXIS_NAMES[view.axis]} {x_label(round(view.cursor, 2), view.axis)}", style="reverse")
    for one in drawn.series:
        text = _reading(one, drawn.wanted.metric, view, best=best)
        if text:
            title.append(APART)
            mark, _, name = sign(one).partition(" ")  # the name in the text's colour: it must be read on any ground
            title.append(mark, style=Style(color=f"color({COLORS[one.style % len(COLORS)]})")).append(f" {name}")
            title.append(f" {text}")
    return title


def _reading(one: Series, metric: str, view: View, *, best: bool) -> str:
    """The value at the cursor, else the newest and, with `best`, the best."""
    known = [(x, y) for x, y in zip(one.x.tolist(), one.y.tolist(), strict=True) if math.isfinite(y)]
    if not known:
        return ""
    if view.cursor is not None:
        ((_, x, y),) = readings([one], view.cursor)
        return f"{_figure(y)} @{x_label(x, view.axis)}" if one.style else _figure(y)
    newest = _figure(float(one.y[-1]))
    if not best or not one.style or metric not in ("loss", "top1", "top5"):
        return newest
    x, y = (min if metric == "loss" else max)(known, key=lambda point: point[1])
    return f"{newest} (best {_figure(y)} @{x_label(x, view.axis)})"


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.3g}"
