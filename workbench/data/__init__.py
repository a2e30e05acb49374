"""Images as the network sees them: batches on the device whose content is a function of counters.

    dataset = open_dataset(profile.data, augment=profile.augment, seed=0, device=torch.device("cpu"), report=print)
    for batch in dataset.train.batches(128, epoch=0):  # images float32 (B, C, S, S), labels int64 (B,)
        ...

A batch depends on (seed, epoch, batch size, batch number) and nothing else. Test and validation images are
never augmented, and no split shares an image with another.

Importing the package loads no torch: `workbench.data.policy`, which says what happens to images, needs none.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset, open_dataset
    from workbench.data.keys import generator, key, order
    from workbench.data.splits import Batch, Split

__all__ = ["Batch", "Dataset", "Split", "generator", "key", "open_dataset", "order"]

_HOME = {
    "Batch": "splits",
    "Dataset": "dataset",
    "Split": "splits",
    "generator": "keys",
    "key": "keys",
    "open_dataset": "dataset",
    "order": "keys",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
