"""Images as the network sees them: batches on the device whose content is a function of counters.

    dataset = open_dataset(profile.data, seed=0, device=torch.device("cpu"), report=print)
    for images, labels in dataset.train.batches(128, epoch=0):  # float32 (B, C, S, S), int64 (B,)
        ...

A batch depends on (seed, epoch, batch size, batch number) and nothing else. Test and validation images are
never augmented, and no split shares an image with another.
"""

from workbench.data.dataset import Dataset, open_dataset
from workbench.data.keys import generator, key, order
from workbench.data.splits import Split

__all__ = ["Dataset", "Split", "generator", "key", "open_dataset", "order"]
