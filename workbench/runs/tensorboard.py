"""The events of a run as TensorBoard's messages. Imported only where the package `tensorboard` is there."""

from collections.abc import Iterator
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # type: ignore[import-untyped]
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # type: ignore[import-untyped]
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto  # type: ignore[import-untyped]
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING  # type: ignore[import-untyped]
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2  # type: ignore[import-untyped]
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData  # type: ignore[import-untyped]

from workbench.runs.curves import metrics_of, number
from workbench.runs.figures import is_number
from workbench.runs.run import Run

START, END = "_hparams_/session_start_info", "_hparams_/session_end_info"
"""Tags under which TensorBoard's HPARAMS page looks for a run's settings and for how it ended."""

_STATUS = {"finished": "STATUS_SUCCESS", "failed": "STATUS_FAILURE", "crashed": "STATUS_FAILURE"}


def scalars(record: dict[str, Any], started: float) -> Iterator[Event]:
    """An event for each figure of a line; `started` in unix seconds."""
    kind, step, seconds = record.get("kind"), number(record.get("step")), number(record.get("seconds"))
    if kind not in ("epoch", "step") or not 0 <= step < 2**63:
        return
    wall_time = started + (seconds if 0 <= seconds < 1e12 else 0.0)
    values = [
        Summary.Value(tag=f"{kind}/{name}", simple_value=_float32(number(record[name])))
        for name in metrics_of([record])
        if is_number(record[name]) or record[name] in ("nan", "inf", "-inf")
    ]
    if values:
        yield Event(wall_time=wall_time, step=int(step), summary=Summary(value=values))


def opening(run: Run, started: float) -> Iterator[Event]:
    """The settings: as hyperparameters, which TensorBoard's table compares, and as a text to read."""
    info = plugin_data_pb2.SessionStartInfo(start_time_secs=started)
    for key, value in run.summary.settings.items():
        if isinstance(value, bool):
            info.hparams[key].bool_value = value
        elif is_number(value):
            info.hparams[key].number_value = number(value)
        elif value is not None:
            info.hparams[key].string_value = _utf8(str(value))
    yield Event(wall_time=started, step=0, summary=_hparams(START, session_start_info=info))
    rows = [f"| {_cell(key)} | {_cell(str(value))} |" for key, value in run.summary.settings.items()]
    text = "\n".join([f"{_cell(run.id)}", "", "| setting | value |", "| --- | --- |", *rows])
    yield Event(wall_time=started, step=0, summary=_text("profile", text))


def ending(run: Run, started: float) -> Event:
    """How the run stands."""
    status = api_pb2.Status.Value(_STATUS.get(run.state.name, "STATUS_UNKNOWN"))
    seconds = number(run.summary.seconds)
    end = started + (seconds if seconds >= 0 else 0.0)
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=end)
    return Event(wall_time=end, step=0, summary=_hparams(END, session_end_info=info))


def _hparams(tag: str, **data: Any) -> Summary:
    content = plugin_data_pb2.HParamsPluginData(version=0, **data).SerializeToString()
    # The page looks at the description alone; newer versions want a tensor of any kind beside it.
    nothing = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto())
    return Summary(value=[Summary.Value(tag=tag, metadata=_plugin("hparams", content), tensor=nothing)])


def _text(tag: str, text: str) -> Summary:
    content = TextPluginData(version=0).SerializeToString()
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[_utf8(text).encode()])
    return Summary(value=[Summary.Value(tag=tag, metadata=_plugin("text", content), tensor=tensor)])


def _plugin(name: str, content: bytes) -> SummaryMetadata:
    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=name, content=content))


def _cell(text: str) -> str:
    from workbench.runs.compare_text import markdown_cell

    return markdown_cell(_utf8(text))


def _utf8(text: str) -> str:
    """Text that UTF-8 can hold, as the messages demand; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _float32(value: float) -> float:
    """What is too large for 32 bits is infinite, rather than an error."""
    if value != value or abs(value) <= 3.4028234e38:
        return value
    return float("inf") if value > 0 else float("-inf")
