"""Hypothesis strategies for sections of a profile, derived from the schema: what it allows is what is drawn."""

import re
import types
import typing
from typing import Any, Literal

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from workbench.profile.schema import DISCRIMINATED, Section

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)


def sections(model: type[Section], /, **chosen: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any section of this model; `chosen` replaces the strategies of fields."""
    drawn = {name: values(field) for name, field in model.model_fields.items() if name not in chosen}
    return st.builds(model, **drawn, **chosen)


def schedules() -> st.SearchStrategy[Any]:
    """Any schedule, of lengths from nothing to far beyond the run."""
    return st.one_of(*(sections(model) for model in DISCRIMINATED["schedule"].values()))


def values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values that the field takes, its bounds and its pattern observed."""
    return _of(field.annotation, list(field.metadata))


def _of(kind: Any, rules: list[Any]) -> st.SearchStrategy[Any]:
    origin = typing.get_origin(kind)
    if kind is type(None):
        return st.none()
    if origin is Literal:
        return st.sampled_from(typing.get_args(kind))
    if origin is typing.Annotated:
        inner, *more = typing.get_args(kind)
        return _of(inner, rules + [rule for info in more for rule in getattr(info, "metadata", [info])])
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(_of(part, rules) for part in typing.get_args(kind)))
    if origin is dict:
        return st.dictionaries(TEXT, SCALARS, max_size=3)
    if kind is bool:
        return st.booleans()
    return {int: _whole, float: _real, str: _text}[kind](rules)


def _rule(rules: list[Any], name: str) -> Any:
    return next((getattr(rule, name) for rule in rules if getattr(rule, name, None) is not None), None)


def _whole(rules: list[Any]) -> st.SearchStrategy[int]:
    low, high, below = _rule(rules, "ge"), _rule(rules, "le"), _rule(rules, "lt")
    return st.integers(
        -(2**63) if low is None else low, 2**63 - 1 if high is None and below is None else high or below - 1
    )


def _real(rules: list[Any]) -> st.SearchStrategy[float]:
    low, above = _rule(rules, "ge"), _rule(rules, "gt")
    high, below = _rule(rules, "le"), _rule(rules, "lt")
    return st.floats(
        min_value=above if low is None else low,
        max_value=below if high is None else high,
        exclude_min=above is not None,
        exclude_max=below is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def _text(rules: list[Any]) -> st.SearchStrategy[str]:
    pattern = _rule(rules, "pattern")
    if pattern is None:
        shortest, longest = _rule(rules, "min_length") or 0, _rule(rules, "max_length") or 40
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=shortest, max_size=longest)
    # To Python, unlike to pydantic, "$" is also before a newline.
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True).filter(lambda text: not text.endswith("\n"))
