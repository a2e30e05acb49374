"""Line charts as SVG text. The only module that knows pygal, which is imported when the first chart is drawn.

pygal lays the chart out: scales, places of texts, paths. What it adds besides is taken away again (scripts, its style
sheet with fonts, comments with addresses, the date), so that a chart asks nothing of a network and the same data give
the same text. Colours and dashes stand on the elements, for programs without style sheets; the style sheet of a
chart for a file of its own makes texts and grid readable on a light and on a dark ground.
"""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from xml.etree import ElementTree

from workbench.base.plot import FARTHEST, Line, ticks
from workbench.base.text import clean
from workbench.runs.curves import Chart

NAMESPACE = "http://www.w3.org/2000/svg"

COLORS = ("#0f83c9", "#d4660a", "#c04fc0", "#0c9155", "#e5383b", "#80800d", "#7474ad")
"""Blue, orange, magenta, green, red, olive, slate: the order of `workbench.base.plot.COLORS`, darker or lighter, so
that each has a contrast of 3 or more to white and to a black screen."""

DASHES = ("", "8 4", "2 4", "12 4 2 4", "16 6", "5 3 1 3 1 3", "1 6", "20 4 6 4")
"""What tells the lines apart without colour."""

STYLE = (
    ":root{color-scheme:light dark}"
    "text{font-family:system-ui,sans-serif;fill:#424a53}"
    ".axis path{stroke:#59636e}"
    "@media (prefers-color-scheme:dark){text{fill:#d1d7e0}.axis path{stroke:#9198a1}}"
)
"""Of a chart in a file of its own; a page brings its own."""

COLUMNS = 300
"""A line is thinned to about three points in each of so many columns, which is all that a chart can show."""

DOTTED = 200
"""Lines of at most so many points have a dot at each, with its value in a tooltip."""

DECADES = 2.0
"""Powers of ten that positive values must span for `log_y=None` to mean a logarithmic axis."""

_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")

Point = tuple[float, float | None]


def draw(
    chart: Chart, *, width: int = 800, height: int = 480, log_y: bool | None = False, standalone: bool = True
) -> str:
    """The chart as an `<svg>` element, without an XML declaration; `width` by `height` pixels.

    Values that are not finite are gaps, and so are values that are not above 0 on a logarithmic y axis (`log_y`; None:
    where they span more than `DECADES`). Without `standalone` it has no size and no style sheet of its own.
    """
    chart = chart if chart.lines else replace(chart, lines=(Line("", (), ()),))  # pygal cannot draw none
    logarithmic = _spans_decades(chart) if log_y is None else log_y
    lines = [thin(_points(line.x, line.y, logarithmic)) for line in chart.lines]
    root = ElementTree.fromstring(_layout(chart, lines, logarithmic, width, height))
    _take_away(root)
    _dress(root, chart, lines, logarithmic)
    root.attrib = {"class": "chart", "role": "img", "viewBox": f"0 0 {width} {height}"}
    if standalone:
        root.attrib |= {"width": str(width), "height": str(height)}
        style = ElementTree.Element(f"{{{NAMESPACE}}}style")
        style.text = STYLE
        root.insert(0, style)
    ElementTree.register_namespace("", NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def thin(points: Sequence[Point], columns: int = COLUMNS) -> list[Point]:
    """At most three points in each of so many columns: the lowest, the highest and the first gap; and both ends.

    In order of x. A line that has no more points than that keeps all of them.
    """
    points = sorted(points, key=lambda point: point[0])
    if len(points) <= 3 * columns:
        return points
    first, last = points[0][0], points[-1][0]
    scale = columns / (last - first) if last > first else 0.0
    kept = [points[0]]
    for _, group in itertools.groupby(points, key=lambda point: int((point[0] - first) * scale)):
        inside = list(group)
        values = [(point[1], i) for i, point in enumerate(inside) if point[1] is not None]
        chosen = {min(values)[1], max(values)[1]} if values else set()
        gap = next((i for i, point in enumerate(inside) if point[1] is None), None)
        kept += [inside[i] for i in sorted(chosen if gap is None else chosen | {gap})]
    kept.append(points[-1])
    return kept


def xml_text(text: str, limit: int = 200) -> str:
    """`text` as XML may hold it and a person may see it; at most `limit` characters."""
    return _NOT_XML.sub("\ufffd", clean(text, limit))


def _points(xs: Sequence[float], ys: Sequence[float], logarithmic: bool) -> list[Point]:
    def drawable(y: float) -> float | None:
        if not abs(y) <= FARTHEST or (logarithmic and y <= 0):
            return None
        return math.log10(y) if logarithmic else y

    return [(x, drawable(y)) for x, y in zip(xs, ys, strict=True) if abs(x) <= FARTHEST]


def _spans_decades(chart: Chart) -> bool:
    values = [y for line in chart.lines for y in line.y if abs(y) <= FARTHEST]
    return bool(values) and min(values) > 0 and math.log10(max(values)) - math.log10(min(values)) > DECADES


def _layout(chart: Chart, lines: Sequence[list[Point]], logarithmic: bool, width: int, height: int) -> bytes:
    """The chart as pygal draws it.

    It sees values between 1 and 2 only, and labels as words: its own scales fail at some numbers (an axis forgets an
    end that is 0, near the smallest floats it divides by zero).
    """
    import pygal  # type: ignore[import-untyped]
    from pygal.style import Style  # type: ignore[import-untyped]

    across = _Span([x for points in lines for x, y in points if y is not None])
    up = _Span([y for points in lines for _, y in points if y is not None], 0.5 if logarithmic else None)
    labels = [xml_text(line.label, 80) for line in chart.lines]
    x_places = ticks(across.low, across.high, most=9)
    whole = [place for place in x_places if place == round(place)]
    picture = pygal.XY(
        width=width, height=height, js=[], css=[], no_prefix=True, margin=14, spacing=8,
        title=xml_text(chart.title, 120), x_title=xml_text(chart.x_label),
        y_title=xml_text(chart.y_label) + (" (log scale)" if logarithmic else ""),
        range=(1, 2), xrange=(1, 2), no_data_text="nothing to draw yet", truncate_label=-1,
        x_labels=[across.label(x, _short(x)) for x in (whole if len(whole) > 1 else x_places)],
        y_labels=[up.label(y, _short(10**y, 3) if logarithmic else _short(y)) for y in _places(up, logarithmic)],
        show_x_guides=True, allow_interruptions=True, dots_size=2.5,
        show_legend=len(lines) > 1, legend_at_bottom=True, legend_box_size=18, truncate_legend=-1,
        legend_at_bottom_columns=_legend_columns(labels, width),
        style=Style(colors=COLORS, label_font_size=12, legend_font_size=13, title_font_size=15, no_data_font_size=15),
    )  # fmt: skip
    for name, points in zip(labels, lines, strict=True):
        dotted = len(points) <= DOTTED
        drawn = points if dotted else _lone_twice(points)
        picture.add(
            name, [(1, None) if y is None else (across.place(x), up.place(y)) for x, y in drawn], show_dots=dotted
        )
    svg: bytes = picture.render()
    return svg


class _Span:
    """What an axis shows: from the lowest to the highest of the values, apart even where all are alike or none is.

    `around`: how far it goes to both sides where all are alike; None: half the value.
    """

    def __init__(self, values: Sequence[float], around: float | None = None) -> None:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        room = max(abs(low), abs(high))
        if high - low <= max(room * 1e-6, 1e-290):
            room = around or max(room / 2 or 1.0, 1e-280)
            low, high = low - room, high + room
        self.low, self.high = low, high

    def place(self, value: float) -> float:
        """Between 1 (`low`) and 2 (`high`)."""
        return 1 + (value - self.low) / (self.high - self.low)

    def label(self, value: float, text: str) -> dict[str, object]:
        """A label as pygal takes it."""
        return {"value": self.place(value), "label": text}


def _places(up: _Span, logarithmic: bool) -> list[float]:
    """Where the y axis has its labels: on a logarithmic one at 1, 2 and 5 times powers of ten, or at these alone."""
    decades = range(math.floor(up.low), math.ceil(up.high) + 1) if logarithmic else range(0)
    for digits in ((1, 2, 5), (1,)):
        places = [decade + math.log10(digit) for decade in decades for digit in digits]
        inside = [place for place in places if up.low <= place <= up.high]
        if 2 <= len(inside) <= 9:
            return inside
    return ticks(up.low, up.high, most=8)


def _lone_twice(points: Sequence[Point]) -> Iterator[Point]:
    """A point between two gaps, twice: a path of no length with round ends is a dot, one of one point is nothing."""
    for before, point, after in zip([None, *points], points, [*points[1:], None], strict=False):
        yield point
        alone = (before is None or before[1] is None) and (after is None or after[1] is None)
        if alone and point[1] is not None:
            yield point


def _legend_columns(labels: Sequence[str], width: int) -> int:
    """So many that the longest label fits, with 7.5 pixels a letter and the sample before it."""
    longest = max((len(label) for label in labels), default=0)
    return max(1, min(len(labels), int((width - 90) / (7.5 * longest + 45))))


def _short(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")


def _take_away(root: ElementTree.Element) -> None:
    """Scripts, pygal's style sheet, its tooltip, the rectangles of the ground, and names that a page has once only."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind, classes = _kind(child), child.get("class", "").split()
            place = kind == "title" and parent.get("class") == "guides"  # a label's, in the units that pygal saw
            if place or kind in ("script", "style", "defs") or {"background", "tooltip-overlay"} & set(classes):
                parent.remove(child)
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if not element.get("class", "-"):
            del element.attrib["class"]
        if found := re.fullmatch(r"activate-serie-(\d+)", name):
            element.set("data-line", found[1])


def _dress(root: ElementTree.Element, chart: Chart, lines: Sequence[list[Point]], logarithmic: bool) -> None:
    """Colours, dashes, sizes of texts, and the values at the dots."""
    for element in root.iter():
        classes = element.get("class", "").split()
        if "series" in classes:
            number = next(int(name[6:]) for name in classes if name.startswith("serie-"))
            element.set("data-line", str(number))
            _dress_line(element, number)
            drawn = [(x, y) for x, y in lines[number] if y is not None]
            _dress_dots(element, number, chart, drawn, logarithmic)
        elif "legend" in classes:
            _dress_legend(element, int(element.get("data-line", "0")))
        elif "axis" in classes and _kind(element) == "g":
            anchor = "middle" if "x" in classes else "end"
            for inner in element.iter():
                if _kind(inner) == "text":
                    inner.attrib |= {"text-anchor": anchor, "font-size": "12", "fill": "#6e7781"}
                elif _kind(inner) == "path":
                    inner.attrib |= {"stroke": "#808890", "stroke-opacity": "0.3", "fill": "none"}
        elif "title" in classes or "no_data" in classes:
            size = "15" if "plot_title" in classes or "no_data" in classes else "13"
            element.attrib |= {"text-anchor": "middle", "font-size": size, "fill": "#6e7781"}


def _dress_line(group: ElementTree.Element, number: int) -> None:
    for path in group.iter(f"{{{NAMESPACE}}}path"):
        path.attrib |= _stroke(number) | {"fill": "none", "vector-effect": "non-scaling-stroke"}


def _dress_dots(
    group: ElementTree.Element, number: int, chart: Chart, drawn: Sequence[tuple[float, float]], logarithmic: bool
) -> None:
    """Each dot with its place and value as the browser's own tooltip, in place of what pygal's script would read."""
    name = xml_text(chart.lines[number].label, 80)
    dots = [element for element in group.iter() if element.get("class", "").split()[:1] == ["dots"]]
    for dot, (x, y) in zip(dots, drawn, strict=False):
        for child in list(dot):
            if _kind(child) == "circle":
                child.attrib = {key: child.get(key, "") for key in ("cx", "cy", "r")} | {"fill": _color(number)}
                tip = ElementTree.SubElement(child, f"{{{NAMESPACE}}}title")
                value = _short(10**y if logarithmic else y)
                tip.text = f"{name}: {value} ({xml_text(chart.x_label, 40)} {_short(x)})"
            else:
                dot.remove(child)


def _dress_legend(group: ElementTree.Element, number: int) -> None:
    """A sample of the line in place of a box, which would not show the dashes."""
    for child in group.iter():
        if _kind(child) == "text":
            child.attrib |= {"font-size": "13", "fill": "#6e7781"}
    for box in group.findall(f"{{{NAMESPACE}}}rect"):
        x, y, width, height = (float(box.get(key, "0")) for key in ("x", "y", "width", "height"))
        sample = {"d": f"M{x - 8:g} {y + height / 2:g} h{width + 8:g}", "fill": "none"}
        group.insert(0, ElementTree.Element(f"{{{NAMESPACE}}}path", sample | _stroke(number)))
        group.remove(box)


def _stroke(number: int) -> dict[str, str]:
    dash = DASHES[number % len(DASHES)]
    plain = {"stroke": _color(number), "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round"}
    return plain | ({"stroke-dasharray": dash} if dash else {})


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _kind(element: ElementTree.Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]
