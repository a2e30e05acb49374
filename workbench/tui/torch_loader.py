"""torch takes seconds to import: it is loaded beside the screen, when something needs it or when nobody types."""

import threading

from workbench.inspect.layer import Layer

CLASSES = 1000
"""Of the networks that the shape walk shows, as on the cards."""


class TorchLoader:
    """Loads torch at most once. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def loading(self) -> bool:
        """Whether the import is under way in the background."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Load it in the background, unless that is done or under way."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._load, name="load torch", daemon=True)
            self._thread.start()

    def load(self) -> None:
        """Load it, and wait until it is there or could not be loaded."""
        self.start()
        if self._thread is not None:
            self._thread.join()

    def walk(self, network: str, image_size: int) -> Layer:
        """The shape walk of a network; waits for torch. UserError for a size that it does not take."""
        self._load()
        from workbench.inspect.walk import walk_named

        return walk_named(network, classes=CLASSES, channels=3, image_size=image_size, options={})

    def _load(self) -> None:
        import workbench.inspect.walk  # noqa: F401  # Python's own lock makes a second thread wait

        self.ready.set()
