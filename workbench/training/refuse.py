"""Recipes that cannot work, refused before a run directory exists: what only data, network and device can tell."""

import torch
from torch import nn

from workbench.data import Dataset, policy
from workbench.inspect.counts import count_macs
from workbench.profile import Profile, Resolved
from workbench.training import devices, schedule
from workbench.training.distributed import Ranks
from workbench.training.fit import has_batch_norm
from workbench.training.monitor import Monitor
from workbench.training.progressive import sizes


def refuse_impossible(profile: Profile, dataset: Dataset, device: torch.device, resolved: Resolved) -> None:
    """ProfileError, at the line where it was set, for what data and device do not allow."""
    if dataset.train.size == 1:
        raise resolved.error("data.dataset", "one training image is too few to train on")
    for key, message in schedule.check(profile, dataset.train.steps(profile.data.batch_size)):
        raise resolved.error(key, message)
    mixing = policy.check(dataset.train.policy, len(dataset.classes))
    if mixing:
        key, _, message = mixing.partition(": ")
        raise resolved.error(key, message)
    measured = Monitor.measured(profile, dataset)
    monitor = profile.checkpoint.monitor
    if monitor != "auto" and monitor not in measured:
        raise resolved.error("checkpoint.monitor", f"{monitor} is not measured here (there are {', '.join(measured)})")
    if profile.train.compile != "off":
        missing = devices.why_not_compile(device)
        if missing:
            raise resolved.error("train.compile", f"torch.compile does not work on this machine: {missing}")
    if profile.train.cuda_graph == "on" and device.type != "cuda":
        raise resolved.error("train.cuda_graph", f"needs a CUDA device (this is {device.type}); auto goes without")


def refuse_unfit_network(
    profile: Profile, dataset: Dataset, network: nn.Module, ranks: Ranks, resolved: Resolved
) -> None:
    """ProfileError for what this network does not allow."""
    train = profile.train
    if train.micro_batch == 1 and has_batch_norm(network):
        message = f"{profile.model.arch} has batch norm, which needs at least 2 images at a time"
        raise resolved.error("train.micro_batch", message)
    if profile.data.batch_size < 2 * ranks.world and ranks.world > 1:
        message = f"{ranks.world} processes need a batch of at least {2 * ranks.world} images"
        raise resolved.error("data.batch_size", message)
    for size in sizes(profile)[:-1]:
        try:
            count_macs(network, dataset.channels, size)
        except Exception as error:  # noqa: BLE001  # whatever a network says to a size that it cannot take
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            message = f"{profile.model.arch} cannot be trained at {size} px on the way: {reason}"
            raise resolved.error("train.progressive_stages", message) from None
