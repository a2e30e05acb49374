"""The syntax of filters: text to a tree of words and comparisons, and mistakes with a mark below their place.

    arch:resnet* acc>90 (state=finished or tag:baseline) -"left over"

Words and comparisons that stand side by side must all hold. What fields mean is `query`'s matter. The parser is
made by lark from the grammar below: LALR, so its time grows with the length of the text and with nothing else.
"""

import dataclasses
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from workbench.base.errors import UserError
from workbench.base.text import clean

if TYPE_CHECKING:
    from lark import Lark

LONGEST = 2000
"""Characters of a filter."""
DEEPEST = 100
"""Parentheses of a filter: the tree is walked by functions that call themselves."""

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND? negation)*
?negation: _NOT negation -> negated
         | _OPEN disjunction _CLOSE
         | WORD -> word
         | STRING -> quoted
         | WORD OPERATOR VALUE -> compared
         | WORD OPERATOR STRING -> compared_quoted
_OR: /\||(?i:or)(?=[\s()|"']|$)/
_AND: /(?i:and)(?=[\s()|"']|$)/
_NOT: /-|(?i:not)(?=[\s()|"']|$)/
_OPEN: "("
_CLOSE: ")"
OPERATOR: /:?(?:>=|<=|==|!=|>|<|=)|:/
STRING: /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'/
WORD: /(?!(?i:or|and|not)(?:[\s()|"']|$))[^\s"'()|:=<>!-](?:[^\s"()|:=<>!]|!(?!=))*/
VALUE: /[^\s()|"'][^\s()|]*/
SPACE: /\s+/
%ignore SPACE
"""

_STRING = re.compile(r""""(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'""")
_SHOWN = 60
"""Characters of a long filter that are shown on either side of the mark."""


class QueryError(UserError):
    """A mistake in a filter: one line that says what and at which column (from 1), the filter, a mark below it."""

    def __init__(self, text: str, at: int, message: str, hint: str = "") -> None:
        start = max(0, at - _SHOWN)
        end = at + _SHOWN
        lead = ("…" if start else "") + _line(text[start:at])
        shown = lead + _line(text[at:end]) + ("…" if end < len(text) else "")
        super().__init__(
            f"filter: {clean(message)} at column {at + 1}{clean(hint)}\n  {shown}\n  {' ' * _cells(lead)}^"
        )
        self.column = at + 1


@dataclass(frozen=True)
class Word:
    """Text looked for anywhere; `literal`: it was in quotes, so that * and ? stand for themselves."""

    text: str
    literal: bool
    at: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        return _quoted(self.text) if self.literal else self.text


@dataclass(frozen=True)
class Compare:
    """A field, one of `: = != > >= < <=`, and what it is held against."""

    field: str
    operator: str
    value: str
    literal: bool
    at: int = dataclasses.field(default=0, compare=False)
    value_at: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        if self.literal:
            return self.field + self.operator + _quoted(self.value)
        # A blank keeps `:` and a value `=x` from being read as `:=` and `x`.
        return self.field + self.operator + (" " if self.value[0] in "=<>!" else "") + self.value


@dataclass(frozen=True)
class Not:
    inner: "Node"

    def __str__(self) -> str:
        return f"not ({self.inner})" if isinstance(self.inner, (And, Or)) else f"not {self.inner}"


@dataclass(frozen=True)
class And:
    parts: "tuple[Node, ...]"

    def __str__(self) -> str:
        return " ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True)
class Or:
    parts: "tuple[Node, ...]"

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


Node: TypeAlias = Word | Compare | Not | And | Or


def parse_query(text: str) -> Node | None:
    """The tree of a filter; None for an empty one. `str` of a tree is a filter with the same tree.

    QueryError for what is no filter.
    """
    if not text.strip():
        return None
    if len(text) > LONGEST:
        raise QueryError(text, LONGEST, f"a filter has at most {LONGEST} characters; this one goes on")
    if text.count("(") > DEEPEST:
        raise QueryError(text, text.rindex("("), f"more than {DEEPEST} parentheses")
    from lark.exceptions import UnexpectedInput, UnexpectedToken

    try:
        tree: Any = _parser().parse(text)
    except UnexpectedToken as error:
        at = len(text) if error.token.type == "$END" else (error.token.start_pos or 0)
        raise _mistake(text, at) from None
    except UnexpectedInput as error:
        raise _mistake(text, getattr(error, "pos_in_stream", None) or 0) from None
    found: Node = tree
    return found


@cache
def _parser() -> "Lark":
    from lark import Lark, Token, Transformer

    class Builder(Transformer[Token, Node]):
        """Called for each rule as it is recognised; lark gives the rule's parts as a list."""

        def word(self, parts: list[Any]) -> Node:
            return Word(str(parts[0]), literal=False, at=parts[0].start_pos)

        def quoted(self, parts: list[Any]) -> Node:
            return Word(_unquoted(parts[0]), literal=True, at=parts[0].start_pos)

        def compared(self, parts: list[Any]) -> Node:
            return _compare(parts, str(parts[2]), literal=False)

        def compared_quoted(self, parts: list[Any]) -> Node:
            return _compare(parts, _unquoted(parts[2]), literal=True)

        def negated(self, parts: list[Any]) -> Node:
            inner: Node = parts[0]
            return inner.inner if isinstance(inner, Not) else Not(inner)

        def conjunction(self, parts: list[Any]) -> Node:
            return And(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, And) else (part,))))

        def disjunction(self, parts: list[Any]) -> Node:
            return Or(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, Or) else (part,))))

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=Builder(), maybe_placeholders=False)


def _compare(parts: list[Any], value: str, literal: bool) -> Compare:
    name, operator, given = parts
    bare = {"==": "="}.get(operator.lstrip(":"), operator.lstrip(":")) or ":"
    return Compare(str(name), bare, value, literal, name.start_pos, given.start_pos)


def _mistake(text: str, at: int) -> QueryError:
    """What is wrong at a place where the grammar allows nothing that stands there."""
    here = text[at : at + 1]
    bare = _STRING.sub(lambda found: " " * len(found[0]), text)  # what is in quotes opens no parenthesis
    opened: list[int] = []
    for place, letter in enumerate(bare[:at]):
        if letter == "(":
            opened.append(place)
        elif letter == ")" and opened:
            opened.pop()
    before = bare[:at].rstrip()
    if not here and opened and before and before[-1] not in "(|-:=<>" and not re.search(r"(?i)\b(or|and|not)$", before):
        return QueryError(text, opened[-1], "this ( is never closed")
    if not here:
        return QueryError(text, len(text), "something is missing")
    if here in "\"'":
        return QueryError(text, at, "this quote is never closed")
    if here == ")":
        return QueryError(text, at, "nothing stands before this )" if opened else "this ) closes nothing")
    if here in ":=<>!":
        return QueryError(text, at, "a field must stand before a comparison, as in acc>90,")
    word = re.match(r"\w+|.", text[at:], re.DOTALL)
    return QueryError(text, at, f'"{word[0] if word else here}" cannot stand here,')


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(token: str) -> str:
    return re.sub(r"\\([\s\S])", r"\1", token[1:-1])


def _line(text: str) -> str:
    """Safe for a terminal, and as many characters as before."""
    return clean(re.sub(r"\s", " ", text), limit=LONGEST + 1)


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
