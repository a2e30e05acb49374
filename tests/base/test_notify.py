"""Telling of a run's end: only what is asked for, and nothing that a run's name could do harm with."""

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.notify import End, Notify, for_terminal, load_notify, read_notify, run_command

END = End(Path("/runs/20261122-100000-x-aaaaaa"), "finished", "finished 3 epochs")


def test_off_unless_asked_for(tmp_path: Path) -> None:
    assert not load_notify(tmp_path / "none.toml").wanted
    (tmp_path / "settings.toml").write_text('theme = "dark"\n')
    assert not load_notify(tmp_path / "settings.toml").wanted
    assert for_terminal(Notify(), END) == ""
    assert run_command(Notify(), END) == ""


def test_what_is_wrong_is_said_and_the_rest_holds(tmp_path: Path) -> None:
    notify, problems = read_notify({"bell": True, "osc": 8, "command": "rm -rf {path}", "bel\x1b": 1})
    assert notify == Notify(bell=True)
    assert len(problems) == 3
    assert all("\x1b" not in problem for problem in problems)
    (tmp_path / "settings.toml").write_text("[notify]\nosc = true\nbell = true\n")
    assert load_notify(tmp_path / "settings.toml") == Notify(bell=True)


@pytest.mark.parametrize("command", [[], [""], [1], ["a\0b"], ["x"] * 51, {"a": 1}])
def test_what_is_no_command(command: object) -> None:
    assert read_notify({"command": command})[0].command == ()


@given(st.text(), st.sampled_from([9, 777]))
def test_no_text_gets_out_of_its_field(text: str, osc: int) -> None:
    sequence = for_terminal(Notify(bell=True, osc=osc), End(Path("/x"), "failed", text))
    assert sequence.endswith("\x1b\\\a")
    inner = sequence.removeprefix(f"\x1b]{osc};").removesuffix("\x1b\\\a")
    assert not set(inner) & {"\x1b", "\a", "\x9c", "\n", "\0"}
    assert inner.count(";") == (2 if osc == 777 else 0)


def test_each_argument_stays_one_whatever_is_put_into_it(tmp_path: Path) -> None:
    written = tmp_path / "said"
    script = "import sys; open(sys.argv[1], 'w').write('|'.join(sys.argv[2:]))"
    end = End(Path("/runs/x"), "failed", "$(touch pwned); `id` '\" {path} -rf\x1b[2J")
    notify = Notify(
        command=(sys.executable, "-c", script, str(written), "{state}: {text}", "{run}", "{unknown} {", "}")
    )
    assert run_command(notify, end) == ""
    assert (
        written.read_text() == "failed: $(touch pwned); `id` '\" {path} -rf\N{REPLACEMENT CHARACTER}[2J|x|{unknown} {|}"
    )


def test_a_command_that_fails_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/nowhere/notify" in run_command(Notify(command=("/nowhere/notify",)), END)
    failing = Notify(command=(sys.executable, "-c", "import sys; sys.exit('no\\x1b[2J display')"))
    assert run_command(failing, END).endswith("exit code 1 no\N{REPLACEMENT CHARACTER}[2J display")
    monkeypatch.setattr("workbench.notify.SECONDS", 0.2)
    assert "ended after 0.2 s" in run_command(
        Notify(command=(sys.executable, "-c", "import time; time.sleep(60)")), END
    )


def test_a_command_that_leaves_something_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])"
    assert run_command(Notify(command=(sys.executable, "-c", script)), END) == ""
    assert time.monotonic() - began < 15
