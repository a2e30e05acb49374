"""Run directories and arguments made to do harm: no control byte reaches the terminal, nothing outside runs/ changes.

The runs here hold, in every text of every file, sequences that clear a screen, write the clipboard, turn the direction
of writing, close a table's cell or a tag of HTML, or are very long; others hold values of the wrong kind, or garbage.
Every command that prints runs gets every one of them. A command that is added joins `PRINTING`, and one that changes
runs `CHANGING`.
"""

import hashlib
import importlib.util
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import cli
from workbench.runs import trash
from workbench.runs.files import write_json
from workbench.runs.journal import encode
from workbench.runs.lock import own_identity

EVIL = (
    "\x1b[2J\x1b]52;c;aGk=\x07\x1b]0;t\x1b\\ \x9b31m\x90q\x9c \x85\u2028\u202egnp\u2066 \u200b\ufeff "
    "[/oops][bold] | <b>&\ud800 \x00\r\t\b"
)
LONG = "n" * 10_000
NAMES = {
    "evil": "20261122-100000-evil-aaaaaa",
    "long": "20261122-110000-long-bbbbbb",
    "over": "20261122-120000-over-cccccc",
    "odd": "20261122-130000-odd-dddddd",
    "garbage": "20261122-140000-garbage-eeeeee",
    "newer": "20261122-150000-newer-ffffff",
    "bare": "20261122-160000-bare-gggggg",
}

FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""All that `clean` takes out, but the newline."""


PRINTING = [
    ["run", "trash"],
    ["run", "restore", "RUN"],
    ["run", "delete", "--yes", "RUN"],
    ["run", "tag", "RUN", "x"],
    ["run", "untag", "RUN", "x"],
    ["run", "note", "RUN", "x"],
    ["run", "pin", "RUN"],
    ["run", "archive", "RUN"],
    ["run", "stop", "RUN", "--timeout", "0"],
    ["run", "resume", "RUN", "--timeout", "0"],
    ["run", "lr", "RUN", "--factor", "2", "--timeout", "0"],
    ["run", "show", "RUN"],
    ["run", "show", "RUN", "--json"],
    ["run", "tail", "RUN", "--no-follow"],
    ["runs"],
    *(["runs", "--format", form] for form in ("md", "json", "csv", "latex", "html")),
    ["compare", "RUN", "last"],
    *(["compare", "RUN", "last", "--format", form] for form in ("md", "json", "csv")),
]
"""Commands; RUN stands for each of the runs in turn, and `--runs DIR` is added."""

CHANGING = [
    ["run", "tag", "RUN", "x"],
    ["run", "untag", "RUN", "x"],
    ["run", "note", "RUN", "x"],
    *(["run", action, "RUN"] for action in ("pin", "unpin", "archive", "unarchive")),
    *(["run", action, "RUN", "--timeout", "0"] for action in ("stop", "pause", "resume", "checkpoint")),
    ["run", "lr", "RUN", "--factor", "2", "--timeout", "0"],
    ["run", "delete", "--yes", "--force", "RUN"],
    ["run", "restore", "RUN"],
    ["run", "purge", "--yes", "RUN"],
]

Call = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run a command line; returns its exit code and all that it sent to the terminal."""
    modules = {command[0] for command in (*PRINTING, *CHANGING)}
    monkeypatch.setattr(cli, "COMMAND_MODULES", tuple({*cli.COMMAND_MODULES, *modules}))

    def run(arguments: list[str]) -> tuple[int, str]:
        try:
            code = cli.main(arguments)
        except SystemExit as end:  # argparse ends the program itself
            code = end.code  # type: ignore[assignment]
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return run


def is_there(command: list[str]) -> bool:
    module = "run_show" if command[:2] in (["run", "show"], ["run", "tail"]) else command[0]
    return importlib.util.find_spec(f"workbench.commands.{module}") is not None


def with_text(text: str) -> dict[str, Any]:
    """What run.json holds, with `text` wherever there is one."""
    return {
        "schema": 1, "id": text, "created": text, "parent": text, "argv": [text, text], "host": text, "python": text,
        "versions": {text: text, "torch": text}, "git": {"commit": text, "dirty": text}, "device": text, "gpu": text,
        "threads": 2, "parameters": 10, "macs": 20, "data": {"name": text, "classes": [text]}, "seed": 0,
        "pretrained": text, "cpu": text, "precision": text,
    }  # fmt: skip


def toml_of(text: str) -> str:
    quoted = json.dumps(text.replace("\ud800", ""))  # a basic string of TOML escapes as JSON does
    return (
        f"seed = 0\nname = {quoted}\nrecipe = {quoted}\n[model]\narch = {quoted}\noptions = {{ {quoted} = {quoted} }}\n"
        f"[data]\ndataset = {quoted}\n[train]\nepochs = 2\n{quoted} = 1\n"
    )


def fill(run: Path, text: str, *, ending: str = "") -> None:
    """A run with `text` in every place where there may be one."""
    run.mkdir()
    (run / "run.json").write_text(json.dumps(with_text(text)))
    (run / "profile.toml").write_text(toml_of(text), encoding="utf-8")
    user = {"tags": [text, f"=cmd|{text}"], "note": f"{text}\n{text}\n<script>", "pinned": text, text: text}
    (run / "user.json").write_text(json.dumps(user))
    best = {"split": text, "top1": 0.5}
    status = {"schema": 1, "state": text, "seq": 3, "epoch": 1, "step": 5, "best": best, text: text}
    (run / "status.json").write_text(json.dumps(status))
    events: list[dict[str, Any]] = [
        {"event": "started", "time": 1.0, "host": text, text.replace("\ud800", ""): text},
        {"event": text, "time": 2.0, "note": text},
        {"event": "checkpoint", "time": 3.0, "file": text, "step": 5},
        {"event": ending or "nan", "time": 4.0, "error": text, "traceback": f"{text}\n{text}", "cause": text},
    ]
    (run / "events.jsonl").write_bytes(b"".join(encode(event) for event in events))
    figures = {"epoch": 1, "step": 5, "seconds": 1.0, "train_loss": 0.5, "test_loss": 0.4, "test_top1": 0.6}
    step, epoch = {"kind": "step", **figures}, {"kind": "epoch", **figures, "note": text}
    lines = [step, epoch, {"kind": text, "step": 6, "epoch": 1}]
    (run / "metrics.jsonl").write_bytes(b"".join(encode(line) for line in lines) + text.encode("utf-8", "replace"))
    (run / "log.txt").write_text(text, encoding="utf-8", errors="replace")
    (run / "lock").write_text(json.dumps({**own_identity(), "host": text}))


def fill_odd(run: Path) -> None:
    """A run whose values are of the wrong kind."""
    run.mkdir()
    wrong: list[Any] = [[], {}, None, True, -1, 1e308, "inf", [[[]]], {"a": {"b": []}}]
    keys = ["created", "parent", "argv", "host", "versions", "git", "device", "data", "seed", "parameters", "macs"]
    facts = {key: wrong[number % len(wrong)] for number, key in enumerate(keys)}
    (run / "run.json").write_text(json.dumps({"schema": 1, "id": ["x"], **facts}))
    (run / "profile.toml").write_text('seed = "x"\nmodel = 3\noptim = [1, 2]\ndata = "y"\ntrain = { epochs = [1] }\n')
    (run / "user.json").write_text(json.dumps({"tags": {"a": 1}, "note": 3, "pinned": "x"}))
    names = ["state", "epoch", "step", "seq", "last", "best", "eta", "updated", "seconds"]
    status = {key: wrong[(number + 3) % len(wrong)] for number, key in enumerate(names)}
    (run / "status.json").write_text(json.dumps({"schema": 1, **status}))
    odd = [{"event": value} for value in wrong] + [{"time": "never"}, {"event": "started", "time": "x"}, {"x": 1}]
    (run / "events.jsonl").write_bytes(b"".join(encode(event) for event in odd))
    lines = [{"kind": "epoch", "epoch": value, "step": value, "test_top1": value} for value in wrong]
    lines += [{"kind": "rewind"}, {"kind": "rewind", "to_step": "x", "to_epochs": None}, {"kind": ["x"]}]
    (run / "metrics.jsonl").write_bytes(b"".join(encode(line) for line in lines))
    identity = {"host": own_identity()["host"], "boot_id": [], "pid": "x", "start_ticks": {}}
    (run / "lock").write_text(json.dumps(identity))


def fill_garbage(run: Path) -> None:
    run.mkdir()
    noise = bytes(range(256)) * 4
    for name in ("run.json", "profile.toml", "user.json", "status.json", "events.jsonl", "metrics.jsonl", "lock"):
        (run / name).write_bytes(noise)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder of which every run is made to do harm."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "runs"
    path.mkdir()
    fill(path / NAMES["evil"], EVIL)
    fill(path / NAMES["long"], LONG)
    fill(path / NAMES["over"], EVIL, ending="failed")
    fill_odd(path / NAMES["odd"])
    fill_garbage(path / NAMES["garbage"])
    fill(path / NAMES["newer"], EVIL)
    for name in ("run.json", "status.json", "user.json"):
        content = json.loads((path / NAMES["newer"] / name).read_text())
        (path / NAMES["newer"] / name).write_text(json.dumps({**content, "schema": 99}))
    (path / NAMES["bare"]).mkdir()
    (path / NAMES["bare"] / "run.json").write_text("{}")
    return path


@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
def test_no_control_byte_reaches_the_terminal(command: list[str], root: Path, call: Call) -> None:
    if not is_there(command):
        pytest.skip("not part of this version")
    if command[1:2] in (["trash"], ["restore"]):
        for name in NAMES.values():
            trash.delete(root, root / name, force=True)
    for name in NAMES.values() if "RUN" in command else [""]:
        code, said = call([name if word == "RUN" else word for word in command] + ["--runs", str(root)])
        assert code in (0, 1 if "--timeout" in command else 0, 2), (name, said)
        said = said.replace("\r\n", "\n")  # as CSV ends its lines
        assert not FORBIDDEN.search(said), (name, FORBIDDEN.findall(said))
        assert "Traceback" not in said
        assert max(map(len, said.splitlines()), default=0) < 100_000


def test_a_hostile_run_can_be_labelled_thrown_away_and_fetched_back(root: Path, call: Call) -> None:
    """What a person does with such a run: none of it fails for what the run holds."""
    for key in ("evil", "long", "over", "odd", "bare"):
        for line in ("tag RUN x", "untag RUN x", "note RUN mine", "pin RUN", "archive RUN", "delete --yes --force RUN"):
            code, said = call(["run", *line.replace("RUN", NAMES[key]).split()])
            assert code == 0, said
        assert call(["run", "restore", NAMES[key]]) == (0, f"{NAMES[key]}: restored\n")


READING = [
    line.split() for line in ("run show RUN", "run stop RUN --timeout 0", "runs", "compare RUN RUN", "run trash")
]


def nested(depth: int) -> str:
    return '{"schema": 1, "x": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize("depth", [400, 700, 2000, 100_000])
def test_values_nested_deeply_stop_no_command(depth: int, root: Path, call: Call) -> None:
    name = "20261122-170000-deep-hhhhhh"
    run = root / name
    run.mkdir()
    for file in ("status.json", "user.json", "lock"):
        (run / file).write_text(nested(depth))
    (run / "profile.toml").write_text(f"x = {'[' * depth}{']' * depth}")
    record = nested(depth)[:-1].encode()
    line = record + b',"crc":"%08x"}\n' % zlib.crc32(record)
    (run / "events.jsonl").write_bytes(line)
    (run / "metrics.jsonl").write_bytes(line)
    for facts in ('{"schema": 1}', nested(depth)):
        (run / "run.json").write_text(facts)
        for command in [*READING, ["run", "delete", "--yes", "--force", "RUN"], ["run", "restore", "RUN"]]:
            if is_there(command):
                code, said = call([name if word == "RUN" else word for word in command] + ["--runs", str(root)])
                assert code in (0, 1, 2), said


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "file", ["run.json", "status.json", "user.json", "lock", "events.jsonl", "metrics.jsonl", "profile.toml"]
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(file: str, root: Path, call: Call) -> None:
    run = root / NAMES["evil"]
    (run / file).unlink()
    os.mkfifo(run / file)
    for command in [*READING, ["run", "tag", "RUN", "x"], ["run", "delete", "--yes", "--force", "RUN"]]:
        if is_there(command):
            code, said = call([run.name if word == "RUN" else word for word in command] + ["--runs", str(root)])
            assert code in (0, 1, 2), said


# Arguments


DECOY = "20261122-170000-decoy-hhhhhh"
HERE = NAMES["bare"]

REFERENCES = [
    "", " ", ".", "..", "/", "//", "./", "../", "~", "~root", "*", "?", "-", "--", "-x", "%s", "{}", "$HOME", "`id`",
    "a b",
    "../../etc", "../../etc/passwd", "/etc", "/etc/passwd", "/dev/null", "/dev/zero", "/proc/self/cwd", "file:///etc",
    f"../outside/{DECOY}", f"outside/{DECOY}", f"outside/{DECOY}/", f"./outside/{DECOY}", f"runs/../outside/{DECOY}",
    f"runs/{HERE}/../../outside/{DECOY}", f"runs/link/{DECOY}", "runs/20261122-180000-link-iiiiii",
    "20261122-180000-link-iiiiii", "20261122-18", "20261122-190000-file-jjjjjj", f"runs/{HERE}/checkpoints",
    f"runs/{HERE}/nested-run", f"runs/.trash/{DECOY}", ".trash", f".trash/{DECOY}", "runs", "runs/.", "runs/..",
    "runs/.trash",
    f"{HERE}\x00", f"{HERE}\n", f"\x00{HERE}", f"runs/{HERE}\x00/x", f"../runs/{HERE}/..", "\x1b[2J", "\x9b31m",
    "\u202e", "\u200b", "[/oops]", "[bold]", "\udcff\udcfe", "\ud800", "x" * 10_000, "../" * 3000,
    f"{'a/' * 2500}{HERE}", "/" * 5000, f"{HERE}/" * 200, "x" * 300, f"runs/{'x' * 300}", "\r\n\r\n", "\t", "best:",
    "best:../../etc", "best:\x1b[2J", "best:[/oops]",
    "2026112?", "A" * 81, "ä", "ﬁ", "last/..", "last\x00",
]  # fmt: skip
"""None of them is a run directly in runs/; DECOY is one outside, to which two links lead."""


def hash_of(folder: Path, but: Path) -> str:
    """Of every name, kind, mode, link and content below `folder`, but what is below `but`."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if but in path.parents or path == but:
            continue
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        seen.update(f"{path}\0{path.lstat().st_mode}\0{len(content)}\0".encode() + content)
    return seen.hexdigest()


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with links that lead out of it, in a folder with a run that is none of ours."""
    home = tmp_path / "home"
    decoy = home / "outside" / DECOY
    (home / "runs" / HERE / "nested-run").mkdir(parents=True)
    decoy.mkdir(parents=True)
    for run in (decoy, home / "runs" / HERE, home / "runs" / HERE / "nested-run"):
        (run / "run.json").write_text(json.dumps({"schema": 1, "id": run.name}))
    (home / "precious.txt").write_text("as it was")
    (home / "runs" / "link").symlink_to(home / "outside")
    (home / "runs" / "20261122-180000-link-iiiiii").symlink_to(decoy)
    (home / "runs" / "20261122-190000-file-jjjjjj").write_text("")
    (home / "runs" / ".trash").mkdir()
    (home / "runs" / ".trash" / DECOY).symlink_to(decoy)
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_no_argument_leads_out_of_the_folder(command: list[str], traps: Path, call: Call) -> None:
    outside = hash_of(traps, but=traps / "runs")
    inside = hash_of(traps / "runs", but=traps / "runs" / ".index")
    for reference in REFERENCES:
        code, said = call([reference if word == "RUN" else word for word in command])
        assert code in (0, 2) if reference in ("-x", "--") else code == 2, (reference[:100], said)
        assert not FORBIDDEN.search(said), (reference[:100], said)
        assert len(said.splitlines()) == 1, (reference[:100], said)
        assert len(said) < 1500, (reference[:100], said)
    assert hash_of(traps, but=traps / "runs") == outside
    assert hash_of(traps / "runs", but=traps / "runs" / ".index") == inside


@pytest.mark.parametrize("name", ["user.json", "status.json"])
def test_a_link_under_the_name_of_a_temporary_file_is_not_written_through(name: str, traps: Path) -> None:
    run = traps / "runs" / HERE
    (run / f".{name}.{os.getpid()}.tmp").symlink_to(traps / "precious.txt")
    write_json(run / name, {"schema": 1})
    assert (traps / "precious.txt").read_text() == "as it was"
    assert json.loads((run / name).read_text()) == {"schema": 1}


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_links_inside_a_run_are_not_written_through(command: list[str], traps: Path, call: Call) -> None:
    run = traps / "runs" / HERE
    target = traps / "precious.txt"
    for name in ("user.json", "user.lock", "lock", "status.json", "events.jsonl", "checkpoints"):
        (run / name).symlink_to(target)
    (run / "control").symlink_to(traps / "outside")
    outside = hash_of(traps, but=traps / "runs")
    code, said = call([HERE if word == "RUN" else word for word in command])
    assert code in (0, 2), said
    assert not FORBIDDEN.search(said)
    if command[1] == "delete":
        assert call(["run", "purge", "--yes", HERE])[0] == 0
    assert hash_of(traps, but=traps / "runs") == outside


FOLDERS = ["\x1b[2J", "x\ny", "x" * 10_000, "", "/dev/null", "/proc/self/mem", "nowhere", "\udcff\udcfe"]


@pytest.mark.parametrize("folder", FOLDERS, ids=range(len(FOLDERS)))
def test_a_runs_folder_that_is_none_is_one_line(folder: str, traps: Path, call: Call) -> None:
    before = hash_of(traps, but=traps / "runs" / ".index")
    for command in CHANGING:
        code, said = call(["x1" if word == "RUN" else word for word in command] + ["--runs", folder])
        assert code == 2, said
        assert not FORBIDDEN.search(said)
        assert len(said.splitlines()) == 1
    assert hash_of(traps, but=traps / "runs" / ".index") == before


TYPED = [
    ["\x1b[2J"], ["--\x1b[2J"], ["tag", "\x1b[2J"], ["tag", HERE, "x", "--\x9b", "y"], ["stop", HERE, "\x1b[2J"],
    ["stop", HERE, "--timeout", "\x1b[2J"], ["lr", HERE, "--factor", "\u202e1"], ["purge", "--older-than", "\x1b[2J"],
    ["untag", HERE, "\x1b[2J"], ["tag", HERE, "\x1b[2J"],
]  # fmt: skip


@pytest.mark.parametrize("words", TYPED, ids=range(len(TYPED)))
def test_what_was_typed_is_not_repeated_raw(words: list[str], traps: Path, call: Call) -> None:
    code, said = call(["run", *words])
    assert code == 2
    assert not FORBIDDEN.search(said)
    assert len(said.splitlines()) == 1


EVERYWHERE = [
    ["\x1b[2J"], ["--\x1b[2J"], ["runs", "--\x1b[2J"], ["runs", "\x1b[2J"], ["runs", "--filter", "\x1b[2J"],
    ["compare", "\x1b[2J", "last"], ["compare", "--\x9b"], ["run", "show", "\x1b[2J"], ["run", "tail", "\x1b[2J"],
    ["models", "\x1b[2J"], ["show", "\x1b[2J"], ["source", "\x1b[2J"], ["profile", "show", "\x1b[2J"],
    ["--headless", "--profile", "\x1b[2J"], ["--headless", "--\x1b[2J", "x"],
]  # fmt: skip


@pytest.mark.parametrize("words", EVERYWHERE, ids=range(len(EVERYWHERE)))
def test_no_command_repeats_raw_what_was_typed(words: list[str], traps: Path, call: Call) -> None:
    code, said = call(words)
    assert code in (0, 2)
    assert not FORBIDDEN.search(said)


# The index, which anybody may have put there


@pytest.mark.skipif(not is_there(["runs"]), reason="not part of this version")
def test_rows_that_others_put_into_the_index_are_harmless(root: Path, call: Call) -> None:
    for path in root.glob("*/*.json"):
        os.utime(path, (1e9, 1e9))  # what has just been written is read again, and the index not asked
    assert call(["runs", "--runs", str(root)])[0] == 0
    [path] = (root / ".index").glob("*.sqlite")
    with sqlite3.connect(path) as index:
        for name, row in index.execute("SELECT id, row FROM runs").fetchall():
            evil = [
                EVIL if isinstance(value, str) and value not in NAMES.values() else value for value in json.loads(row)
            ]
            index.execute("UPDATE runs SET row = ? WHERE id = ?", (json.dumps(evil), name))
    index.close()
    for form in ("table", "md", "csv", "json"):
        code, said = call(["runs", "--runs", str(root), "--format", form])
        assert code in (0, 2)
        assert not FORBIDDEN.search(said.replace("\r\n", "\n")), (form, FORBIDDEN.findall(said))


@pytest.mark.skipif(not is_there(["runs"]), reason="not part of this version")
def test_an_index_that_leads_elsewhere_is_not_written(traps: Path, call: Call) -> None:
    (traps / "runs" / ".index").symlink_to(traps / "outside")
    before = hash_of(traps, but=traps / "runs")
    for command in (["runs"], ["run", "tag", "last", "x"], ["run", "tag", "best:x", "x"]):
        assert call(command)[0] in (0, 2)
    assert hash_of(traps, but=traps / "runs") == before
