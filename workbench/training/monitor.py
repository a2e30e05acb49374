"""The figure by which epochs are compared: for the best checkpoint, early stopping and the plateau schedule."""

import math
from typing import Any

from workbench.data import Dataset
from workbench.profile import Profile


class Monitor:
    """`checkpoint.monitor`, with auto made definite.

    auto is top-1 of the validation images if there are any, else of the test images, else of the training images.
    """

    def __init__(self, profile: Profile, dataset: Dataset) -> None:
        self.patience = profile.train.early_stopping
        chosen = profile.checkpoint.monitor
        self.split = "val" if dataset.val else "test" if dataset.test else "train"
        if chosen != "auto":
            self.split = chosen.split("_")[0]
        self.name = f"{self.split}_top1" if chosen == "auto" else chosen
        self.higher_is_better = not self.name.endswith("_loss")

    @staticmethod
    def measured(profile: Profile, dataset: Dataset) -> list[str]:
        """The figures that an epoch of this run has."""
        splits = [name for name, split in (("val", dataset.val), ("test", dataset.test)) if split]
        averages = ("", "_ema") if profile.train.ema else ("",)
        evaluated = [f"{s}{a}_{metric}" for s in splits for a in averages for metric in ("top1", "top5", "loss")]
        return ["train_top1", "train_loss", *evaluated]

    def note(self, epoch: int, figures: dict[str, Any], best: dict[str, Any] | None) -> dict[str, Any] | None:
        """The record of this epoch if it is better than `best`, else None. A NaN is never better."""
        value = figures.get(self.name)
        if value is None or math.isnan(value):
            return None
        if best is not None:
            before = best.get("value", best["top1"])  # before monitors, the best was the one of highest top-1
            if not (value > before if self.higher_is_better else value < before):
                return None
        average = "_ema" if "_ema_" in self.name else ""
        top1 = figures.get(f"{self.split}{average}_top1", figures["train_top1"])
        return {"epoch": epoch, "top1": top1, "split": self.split, "monitor": self.name, "value": value}

    def gave_up(self, epoch: int, best: dict[str, Any] | None) -> bool:
        """Whether `train.early_stopping` epochs have passed since the best one."""
        return bool(self.patience) and best is not None and epoch - best["epoch"] >= self.patience
