"""The shape walk: what each part of a network gives out, holds and costs, for one image in evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

import architectures
from workbench.base.errors import UserError
from workbench.inspect.counts import run_once
from workbench.inspect.layer import Layer
from workbench.inspect.meta import Shapes, on_meta

__all__ = ["Layer", "walk", "walk_named"]


def walk(network: nn.Module, in_channels: int, image_size: int) -> Layer:
    """The tree of `network` for one image (in_channels, image_size, image_size); the network is not touched.

    `parameters` and `macs` of the root equal `count_parameters` and `count_macs`.
    """
    with on_meta() as shapes:
        notes = _Notes(shapes)
        with _noted(network, notes):
            run_once(network, in_channels, image_size)
    return _layer(network, type(network).__name__, notes, set())


def walk_named(name: str, *, classes: int, channels: int, image_size: int, options: dict[str, Any]) -> Layer:
    """Build a network without memory and walk it. UserError for a size or an option that it does not take."""
    try:
        with on_meta():
            network = architectures.create(
                name, num_classes=classes, in_channels=channels, image_size=image_size, **options
            )
        return replace(walk(network, channels, image_size), name=name)
    except (ValueError, TypeError, RuntimeError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(what if what.startswith(name) else f"{name} at {image_size} px: {what}") from None


class _Notes:
    """What the hooks saw: by module, its output shape, its own MACs and when it was first called."""

    def __init__(self, counter: Shapes) -> None:
        self.counter = counter
        self.shapes: dict[nn.Module, tuple[int, ...] | None] = {}
        self.macs: dict[nn.Module, int] = {}
        self.first_call: dict[nn.Module, int] = {}
        self.open: list[tuple[int, int]] = []  # the modules now running: MACs before it, and in modules it called

    def enter(self, module: nn.Module, _: Any) -> None:
        self.first_call.setdefault(module, len(self.first_call))
        self.open.append((self.counter.macs, 0))

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        before, inside = self.open.pop()
        macs = self.counter.macs - before
        self.macs[module] = self.macs.get(module, 0) + macs - inside
        if self.open:
            started, within = self.open[-1]
            self.open[-1] = (started, within + macs)
        self.shapes[module] = _shape(output)


@contextmanager
def _noted(network: nn.Module, notes: _Notes) -> Iterator[None]:
    """Every call inside is noted; the hooks are gone afterwards."""
    hooks = [module.register_forward_pre_hook(notes.enter) for module in network.modules()]
    hooks += [module.register_forward_hook(notes.leave) for module in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _layer(module: nn.Module, name: str, notes: _Notes, seen: set[nn.Module | Tensor]) -> Layer:
    """The tree below `module`; what is in `seen` is another owner's already."""
    seen.add(module)
    own = [(key, p) for key, p in module.named_parameters(recurse=False) if p.requires_grad and p not in seen]
    seen.update(parameter for _, parameter in own)
    order = [(_first_call(child, notes), key, child) for key, child in module.named_children() if child not in seen]
    order.sort(key=lambda entry: entry[0])  # stable: what never runs stays last, as it was registered
    children = tuple(_layer(child, key, notes, seen) for _, key, child in order)
    macs = notes.macs.get(module, 0)
    return Layer(
        name=name,
        kind=type(module).__name__,
        shape=notes.shapes.get(module),
        used=module in notes.shapes or any(child.used for child in children),
        parameters=sum(p.numel() for _, p in own) + sum(child.parameters for child in children),
        macs=macs + sum(child.macs for child in children),
        own_parameters=tuple((key, tuple(p.shape)) for key, p in own),
        own_macs=macs,
        children=children,
    )


def _first_call(module: nn.Module, notes: _Notes) -> float:
    return min((notes.first_call.get(inner, float("inf")) for inner in module.modules()), default=float("inf"))


def _shape(output: Any) -> tuple[int, ...] | None:
    """Of a tensor, or of the first one in a tuple or dictionary."""
    if isinstance(output, Tensor):
        return tuple(output.shape)
    if isinstance(output, dict):
        output = tuple(output.values())
    return _shape(output[0]) if isinstance(output, tuple | list) and output else None
