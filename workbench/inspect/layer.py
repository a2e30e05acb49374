"""One module of a network as the shape walk tells of it. No torch: the screen and the renderer read it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Layer:
    """One module and what is inside it. Sizes are sums over everything inside; no tensor is kept."""

    name: str
    """The attribute of its owner that holds it; for the whole network, its class."""
    kind: str
    """Its class."""
    shape: tuple[int, ...] | None
    """Output of its last call, with a batch of 1; None when evaluation does not call it (an auxiliary head, a list)."""
    used: bool
    """Whether evaluation calls it or anything inside."""
    parameters: int
    """Trainable parameters; one that has two owners is the first one's."""
    macs: int
    """Multiply-accumulates of one image."""
    own_parameters: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Trainable parameters held directly: name and shape."""
    own_macs: int = 0
    """Multiply-accumulates of its own forward, outside the modules inside."""
    children: tuple["Layer", ...] = ()
    """In the order in which they run, then those that do not."""

    def folded(self, depth: int) -> "Layer":
        """Without what lies more than `depth` levels inside; the sums stay."""
        if depth <= 0:
            return replace(self, own_parameters=(), own_macs=0, children=()) if self.children else self
        return replace(self, children=tuple(child.folded(depth - 1) for child in self.children))

    def runs(self) -> list[list["Layer"]]:
        """The children, neighbours that differ in nothing but their names together."""
        groups: list[list[Layer]] = []
        for child in self.children:
            if groups and replace(groups[-1][-1], name=child.name) == child:
                groups[-1].append(child)
            else:
                groups.append([child])
        return groups
