"""`cnn-workbench run tag|untag|note|pin|unpin|archive|unarchive RUN`: what people say about a run."""

import sys
from collections.abc import Callable
from dataclasses import replace

from workbench.base.errors import UserError, did_you_mean
from workbench.commands.parsing import parse, runs_root
from workbench.commands.run_shared import add_run, each, find_own, parser_of, say, shown
from workbench.runs.user import NOTE_LENGTH, User, change_user, note_of, tag_of

TEXTS = {
    "tag": "Put tags on a run: words of letters, digits and . _ - /",
    "untag": "Take tags off a run.",
    "note": "Note something about a run; what was noted before is replaced.",
    "pin": "Keep runs at the top of lists.",
    "unpin": "Undo run pin.",
    "archive": "Keep runs out of lists; nothing of them is removed.",
    "unarchive": "Undo run archive.",
}


def main(action: str, arguments: list[str]) -> int:
    """Do one of `TEXTS`; returns the exit code."""
    if action in ("tag", "untag"):
        return _tags(action, arguments)
    return _note(arguments) if action == "note" else _mark(action, arguments)


def _tags(action: str, arguments: list[str]) -> int:
    parser = parser_of(action, TEXTS[action])
    add_run(parser)
    parser.add_argument("tags", metavar="TAG", nargs="+")
    options = parse(parser, arguments)
    run = find_own(runs_root(options), options.run)
    change = _with(options.tags) if action == "tag" else _without(options.tags, run.name)
    tags = ", ".join(change_user(run, change).tags)
    say(f"{run.name}: {'tags ' if tags else 'no tags'}{tags}")
    return 0


def _with(tags: list[str]) -> Callable[[User], User]:
    new = [tag_of(tag) for tag in tags]
    return lambda user: replace(user, tags=(*user.tags, *new))


def _without(tags: list[str], name: str) -> Callable[[User], User]:
    def change(user: User) -> User:
        for tag in tags:
            if tag not in user.tags:
                near = did_you_mean(tag, user.tags)
                raise UserError(f'{name} has no tag "{shown(tag)}"{near}; nothing was changed')
        return replace(user, tags=tuple(tag for tag in user.tags if tag not in tags))

    return change


def _note(arguments: list[str]) -> int:
    parser = parser_of("note", TEXTS["note"])
    add_run(parser)
    parser.add_argument("text", metavar="TEXT", help="the note; empty to clear it, - to read it from stdin")
    options = parse(parser, arguments)
    run = find_own(runs_root(options), options.run)
    note = note_of(_stdin() if options.text == "-" else options.text)
    change_user(run, lambda user: replace(user, note=note))
    say(f"{run.name}: {f'a note of {len(note):,} characters' if note else 'no note'}")
    return 0


def _stdin() -> str:
    if sys.stdin is None:
        raise UserError("stdin is closed: there is no note to read")
    try:
        return sys.stdin.read(4 * NOTE_LENGTH)  # more is too long anyway
    except UnicodeDecodeError:
        raise UserError("what came from stdin is not text in this terminal's encoding") from None


def _mark(action: str, arguments: list[str]) -> int:
    """pin, unpin, archive and unarchive, of several runs."""
    parser = parser_of(action, TEXTS[action])
    add_run(parser, several=True)
    options = parse(parser, arguments)
    root = runs_root(options)
    on = not action.startswith("un")
    field = "pinned" if action.endswith("pin") else "archived"
    for run in each(find_own(root, reference) for reference in options.run):
        change_user(run, lambda user: replace(user, **{field: on}))  # type: ignore[arg-type]
        say(f"{run.name}: {'' if on else 'not '}{field}")
    return 0
