"""Every key has the right line, however the TOML is written."""

import tomllib

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.profile.lines import key_lines

HARD = '''\
# key = "in a comment"
top = 1 # [not.a.header]
"quoted.key" = "a # b"
'literal \\ key' = 'c:\\'
"esc\\u0061ped" = 3

dotted.a.b = 4
dotted . "c" = 5
text = """
fake = 1
[fake]
\\""" fake = 2
ends in quotes"""""
raw = \'\'\'
fake = 3 \\\'\'\'
list = [
  1, # ] fake = 4
  "fake = 5 ]",
  [
    2,
  ],
]
inline = { x = 1, y = { "z.z" = [ { w = 2 }, { w = 3 } ] }, s = "}" }
date = 1979-05-27 07:32:00
empty = ""
[implied.deep]
k = 1
  [ implied ]
  k = 2
[[fruit]]
name = "a"
[fruit.skin]
colour = 1
[[fruit.sort]]
n = 1
[[fruit.sort]]
n = 2
[[fruit]]
name = "b"
[[fruit.sort]]
n = 3
[last]
end = 1'''

EXPECTED = {
    ("top",): 2,
    ("quoted.key",): 3,
    ("literal \\ key",): 4,
    ("escaped",): 5,
    ("dotted",): 7,
    ("dotted", "a"): 7,
    ("dotted", "a", "b"): 7,
    ("dotted", "c"): 8,
    ("text",): 9,
    ("raw",): 14,
    ("list",): 16,
    ("list", 0): 17,
    ("list", 1): 18,
    ("list", 2): 19,
    ("list", 2, 0): 20,
    ("inline",): 23,
    ("inline", "x"): 23,
    ("inline", "y"): 23,
    ("inline", "y", "z.z"): 23,
    ("inline", "y", "z.z", 0): 23,
    ("inline", "y", "z.z", 0, "w"): 23,
    ("inline", "y", "z.z", 1): 23,
    ("inline", "y", "z.z", 1, "w"): 23,
    ("inline", "s"): 23,
    ("date",): 24,
    ("empty",): 25,
    ("implied",): 28,
    ("implied", "deep"): 26,
    ("implied", "deep", "k"): 27,
    ("implied", "k"): 29,
    ("fruit",): 30,
    ("fruit", 0): 30,
    ("fruit", 0, "name"): 31,
    ("fruit", 0, "skin"): 32,
    ("fruit", 0, "skin", "colour"): 33,
    ("fruit", 0, "sort"): 34,
    ("fruit", 0, "sort", 0): 34,
    ("fruit", 0, "sort", 0, "n"): 35,
    ("fruit", 0, "sort", 1): 36,
    ("fruit", 0, "sort", 1, "n"): 37,
    ("fruit", 1): 38,
    ("fruit", 1, "name"): 39,
    ("fruit", 1, "sort"): 40,
    ("fruit", 1, "sort", 0): 40,
    ("fruit", 1, "sort", 0, "n"): 41,
    ("last",): 42,
    ("last", "end"): 43,
}


def paths(value, at=()):
    """Every place that tomllib finds in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield (*at, name)
        yield from paths(inner, (*at, name))


@pytest.mark.parametrize("text", [HARD, HARD + "\n", HARD.replace("\n", "\r\n")], ids=["plain", "newline", "crlf"])
def test_a_hard_document(text):
    assert key_lines(text) == EXPECTED
    assert set(key_lines(text)) == set(paths(tomllib.loads(text)))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "# é\n\n\t"])
def test_documents_without_keys(text):
    assert key_lines(text) == {}


WORDS = st.text(st.sampled_from("ab.#=[]{}\"'\\\n é"), max_size=6)
LEAVES = st.one_of(st.integers(), st.booleans(), WORDS, st.floats(allow_nan=False))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=12,
)


def numbered(value, counter):
    """The tree with every leaf replaced by a word that occurs nowhere else."""
    if isinstance(value, dict):
        return {name: numbered(inner, counter) for name, inner in value.items()}
    if isinstance(value, list):
        return [numbered(inner, counter) for inner in value]
    counter.append(f"LEAF{len(counter)}END")
    # A string that spans lines when written with multiline_strings, and holds what looks like a key.
    return f"{counter[-1]}\nfake = 1\n[fake]" if len(counter) % 3 == 0 else counter[-1]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(WORDS, TREES, max_size=4), st.booleans())
def test_every_key_of_a_written_document_has_its_line(tree, multiline):
    leaves = []
    document = numbered(tree, leaves)
    text = tomli_w.dumps(document, multiline_strings=multiline)
    found = key_lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    rows = text.split("\n")
    for path, line in found.items():
        value = document
        for part in path:
            value = value[part]
        if isinstance(value, str):
            leaf = value.split("\n")[0]
            # A multi-line string begins behind the line of its key, with three quotes at the end of that.
            assert leaf in rows[line - 1] or (rows[line - 1].endswith('"""') and leaf in rows[line])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LEAVES, st.sampled_from(["", "# c = 1", "\n", "  "])), max_size=8))
def test_comments_and_blank_lines_between_keys(entries):
    rows = []
    expected = {}
    for number, (value, between) in enumerate(entries):
        rows += between.split("\n")
        rows.append(tomli_w.dumps({f"k{number}": value}).strip("\n") + "  # x = 1")
        expected[(f"k{number}",)] = len(rows)
    text = "\n".join(rows)
    assert set(expected) == set(paths(tomllib.loads(text)))
    assert key_lines(text) == expected
