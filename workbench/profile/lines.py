"""Which line of a TOML text each key stands on.

tomllib gives values and forgets where they were. This walks the same text a second time, after
tomllib has accepted it, and so may rely on the text being valid: it only has to know where keys,
strings, arrays and inline tables begin and end, not what they mean.
"""

from __future__ import annotations

import bisect
import itertools
import tomllib

Path = tuple[str | int, ...]
"""Where a value is: names of tables and keys, and the index inside an array."""


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every key and table header in `text`, which must be valid TOML.

    A table that is only implied (`a` in `[a.b]` or `a.b = 1`) has the line that first implies it;
    keys of an inline table and elements of an array have the line they stand on.

    >>> key_lines("seed = 0\\n[optim]\\nlr = 0.1\\n")
    {('seed',): 1, ('optim',): 2, ('optim', 'lr'): 3}
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        # The sentinel spares every look ahead a check for the end of the text.
        self.text = text.replace("\r\n", "\n") + "\n\0"
        self.at = 0
        self.starts = [0] + [i + 1 for i, c in enumerate(self.text) if c == "\n"]
        self.lines: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}  # array of tables -> index of its last element

    def scan(self) -> dict[Path, int]:
        """Walk the whole text: headers and pairs, one after the other."""
        table: Path = ()
        while True:
            self.skip(" \t\n")
            if self.text[self.at] == "\0":
                return self.lines
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: the table that the following keys belong to."""
        line = self.line()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        *parents, last = self.key()
        self.at += 2 if is_array else 1
        path: Path = ()
        for name in parents:
            path = (*path, name)
            self.lines.setdefault(path, line)
            if path in self.arrays:
                path = (*path, self.arrays[path])
        path = (*path, last)
        if is_array:
            self.lines.setdefault(path, line)
            self.arrays[path] = self.arrays.get(path, -1) + 1
            path = (*path, self.arrays[path])
        self.lines[path] = line
        return path

    def pair(self, table: Path) -> None:
        """`key = value` under `table`."""
        line = self.line()
        path = table
        for name in self.key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign, which key() stopped at
        self.skip(" \t")
        self.value(path)

    def key(self) -> list[str]:
        """A dotted key; stops at the `=` or `]` behind it."""
        names = []
        while True:
            self.skip(" \t")
            start = self.at
            if self.text[self.at] in "\"'":
                self.string()
                # tomllib knows the escapes; a quoted key is written as a string is.
                names.append(tomllib.loads("k = " + self.text[start : self.at])["k"])
            else:
                while self.text[self.at] not in " \t.=]":
                    self.at += 1
                names.append(self.text[start : self.at])
            self.skip(" \t")
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def value(self, path: Path) -> None:
        """Past one value of any kind; what is inside an array or an inline table is noted below `path`."""
        first = self.text[self.at]
        if first in "\"'":
            self.string()
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            while self.text[self.at] not in ",]}#\n\0":
                self.at += 1

    def array(self, path: Path) -> None:
        """Past `[...]`, over as many lines as it has, noting the line of each element."""
        self.at += 1
        for index in itertools.count():
            self.skip(" \t\n,")
            if self.text[self.at] == "]":
                break
            self.lines[(*path, index)] = self.line()
            self.value((*path, index))
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip(" \t\n,")
            if self.text[self.at] == "}":
                break
            self.pair(path)
        self.at += 1

    def string(self) -> None:
        """Any of the four kinds of string; stops behind the closing quotes."""
        quote = self.text[self.at]
        closing = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(closing)
        while not self.text.startswith(closing, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(closing)
        if len(closing) == 3:
            # Up to two quotes may stand directly before the closing three: """"quoted""""".
            for _ in range(2):
                self.at += self.text[self.at] == quote

    def skip(self, blanks: str) -> None:
        """Past blanks and comments."""
        while self.text[self.at] in blanks or self.text[self.at] == "#":
            if self.text[self.at] == "#":
                while self.text[self.at] not in "\n\0":
                    self.at += 1
            else:
                self.at += 1

    def line(self) -> int:
        return bisect.bisect_right(self.starts, self.at)
