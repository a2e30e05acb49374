"""The source of a network's module, found without importing it. No torch."""

import importlib.util
import sys
from pathlib import Path

from rich.syntax import Syntax

import architectures
from workbench.base.errors import UserError
from workbench.inspect.render import console_of_stdout, show, write


def find_source(name: str) -> Path:
    """The file of a name of the catalogue or of `module:callable`. UserError if there is none."""
    if ":" not in name:
        try:
            module = architectures.card(name).module
        except ValueError as error:
            raise UserError(str(error)) from None
        return Path(architectures.__file__).with_name(f"{module}.py")
    module = name.partition(":")[0]
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(module)  # imports the packages around it, and not the module
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UserError(f'architecture "{name}": no module named "{module}"')
    if not spec.origin or not spec.origin.endswith(".py"):
        raise UserError(f'architecture "{name}": module "{module}" has no Python source')
    return Path(spec.origin)


def show_source(path: Path) -> None:
    """In colour on a terminal, else as it is."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if console_of_stdout().is_terminal:
        show(Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        write(text)
