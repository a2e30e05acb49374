"""`cnn-workbench run ACTION RUN`: one run looked at, steered, labelled, thrown away and fetched back.

What changes a run takes only those that lie directly in the runs folder, and finds all that it was given before it
changes any. Exit codes: 0 done, 1 the trainer did not do it or the person said no, 2 it cannot be.
"""

from importlib import import_module

from workbench.base.errors import UserError, did_you_mean
from workbench.commands.run_shared import shown

USAGE = """\
usage: cnn-workbench run show RUN                       what it is, how it went, its chart
       cnn-workbench run tail RUN                       follow it
       cnn-workbench run export RUN --to FORMAT         for other programs

       cnn-workbench run stop RUN [--after-epoch]       finish the step (or the epoch), save, end
       cnn-workbench run pause RUN                      stand still between two steps
       cnn-workbench run resume RUN                     go on after a pause
       cnn-workbench run checkpoint RUN                 save now
       cnn-workbench run lr RUN --factor F              multiply the learning rate by F from the next step on

       cnn-workbench run tag RUN TAG...                 put tags on it
       cnn-workbench run untag RUN TAG...               take tags off it
       cnn-workbench run note RUN TEXT                  note something ("" clears it, - reads it from stdin)
       cnn-workbench run pin|unpin RUN...               keep it at the top of lists
       cnn-workbench run archive|unarchive RUN...       keep it out of lists

       cnn-workbench run delete RUN... [--yes]          move it to the trash
       cnn-workbench run trash                          what is in the trash
       cnn-workbench run restore ID...                  move it back
       cnn-workbench run purge [ID...] [--older-than 30d] [--yes]
                                                        remove it from the trash for good

RUN is an id, a unique beginning of one, last, best:NETWORK, or the path of a run directory. Every action takes
--runs DIR and --help.
"""

LOOKING = ("show", "tail", "export")
"""Actions that `workbench.commands.run_show` has, as `<action>_main(arguments)`."""

CHANGING = {
    **dict.fromkeys(("stop", "pause", "resume", "checkpoint", "lr"), "run_steer"),
    **dict.fromkeys(("tag", "untag", "note", "pin", "unpin", "archive", "unarchive"), "run_labels"),
    **dict.fromkeys(("delete", "trash", "restore", "purge"), "run_trash"),
}
"""Action -> the module of `workbench.commands` that has it, in its `main(action, arguments)`."""


def main(arguments: list[str]) -> int:
    """Do one thing with one run (or with several); returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    action, rest = arguments[0], arguments[1:]
    try:
        if action in LOOKING:
            module = import_module("workbench.commands.run_show")
            return int(getattr(module, f"{action}_main")(rest))
        if action in CHANGING:
            return int(import_module(f"workbench.commands.{CHANGING[action]}").main(action, rest))
        known = [*LOOKING, *CHANGING]
        hint = did_you_mean(action, known) or f" (there are {', '.join(known)})"
        raise UserError(f'there is no "run {shown(action)}"{hint}')
    except UserError as error:
        raise UserError(shown(str(error), 2000)) from None  # it may repeat what was typed, or a folder's name
