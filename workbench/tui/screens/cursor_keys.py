"""The keys that move a value cursor along curves: the same wherever there are curves."""

from abc import abstractmethod

FAR = 10
"""Columns that the cursor jumps with shift."""


class CursorKeys:
    """Mixin, named before the screen; whoever inherits moves its cursor by so many columns in `move_cursor`."""

    @abstractmethod
    def move_cursor(self, by: int) -> None: ...

    def act_left(self) -> None:
        self.move_cursor(-1)

    def act_right(self) -> None:
        self.move_cursor(1)

    def act_far_left(self) -> None:
        self.move_cursor(-FAR)

    def act_far_right(self) -> None:
        self.move_cursor(FAR)
