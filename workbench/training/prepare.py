"""From a profile to a job: data, network, optimiser and step, ready to train. What cannot work is refused here."""

import torch
from torch import nn

import architectures
from workbench.base.ranks import several
from workbench.data import Dataset, open_dataset
from workbench.profile import Profile, Resolved, dump
from workbench.training import devices
from workbench.training.distributed import Ranks, join
from workbench.training.fit import Fit
from workbench.training.job import Job
from workbench.training.layout import choose_layout
from workbench.training.observer import Observer
from workbench.training.optimizers import build_optimizer, why_not_capturable
from workbench.training.pretrained import freeze_backbone, head_names, load_pretrained
from workbench.training.refuse import refuse_impossible, refuse_unfit_network
from workbench.training.state import State
from workbench.training.step import Step, compiled
from workbench.training.weight_sources import WeightsError


def prepare(
    profile: Profile, resolved: Resolved, threads: int, observer: Observer, *, from_checkpoint: bool = False
) -> Job:
    """Data, network and optimiser, ready at step 0; if its weights will come `from_checkpoint`, none are fetched."""
    device, ranks = meet(profile, resolved)
    with ranks.together():
        threads = devices.set_threads(threads)
        devices.keep_freed_memory(device)
        devices.set_arithmetic(profile.train, device)
    dataset = open_on_all(profile, device, ranks, observer)
    ranks.insist(profile=dump(profile), images=dataset.fingerprint)
    with ranks.together():
        refuse_impossible(profile, dataset, device, resolved)
        # Rank 0's first weights become everybody's when the network is wrapped.
        network, pretrained = build_network(
            profile, dataset, resolved, from_checkpoint=from_checkpoint or not ranks.leads
        )
        if pretrained:
            observer.note(f"weights: {pretrained}")
        refuse_unfit_network(profile, dataset, network, ranks, resolved)
        network = network.to(device)
        if profile.train.sync_bn and ranks.world > 1:
            if device.type != "cuda":
                raise resolved.error("train.sync_bn", f"torch has it for GPUs only (this is {device.type})")
            network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        precision = devices.choose_precision(profile.train, device)
        layout = choose_layout(profile, network, dataset, device, precision)
    layout = torch.channels_last if ranks.tell(layout is torch.channels_last) else torch.contiguous_format
    if ranks.world > 1:
        observer.note(f"{ranks.world} processes share the {profile.data.batch_size} images of each step")
    network = network.to(memory_format=layout)
    graph = profile.train.cuda_graph != "off" and device.type == "cuda" and ranks.world == 1
    graph = graph and not why_not_capturable(profile.optim, device)
    optimizer = build_optimizer(network, profile.optim, device, capturable=graph)
    fit = Fit(network, profile.train.micro_batch, profile.data.batch_size)
    exact = device.type == "cpu" or profile.train.deterministic
    forward = compiled(ranks.wrap(network, device, exact=exact), profile.train.compile)
    step = Step(profile, network, forward, optimizer, device, precision, fit, ranks, layout)
    recipe = {
        "data": dataset.fingerprint,
        "device": device.type,
        "precision": precision,
        "threads": threads,
        "torch": str(torch.__version__),
        "world": ranks.world,
        "channels_last": layout is torch.channels_last,
    }
    return Job(profile, dataset, network, optimizer, step, device, precision, recipe, State(), ranks, pretrained)


def meet(profile: Profile, resolved: Resolved) -> tuple[torch.device, Ranks]:
    """The device of this process, and its place among those of the run, which have then all come together."""
    wanted = profile.train.device
    if several() and ":" in wanted:
        raise resolved.error("train.device", f"several processes take a GPU each; use auto or cuda (got {wanted})")
    try:
        device = devices.choose_device(wanted)
        ranks = join(device)
    except ValueError as error:
        raise resolved.error("train.device", str(error)) from None
    with ranks.together():
        try:
            device = ranks.own_device(device)
        except ValueError as error:
            raise resolved.error("train.device", str(error)) from None
    return device, ranks


def open_on_all(profile: Profile, device: torch.device, ranks: Ranks, observer: Observer) -> Dataset:
    """The data set, opened by rank 0 first: it may have to be downloaded."""
    return ranks.in_turn(
        lambda: open_dataset(
            profile.data, augment=profile.augment, seed=profile.seed, device=device, report=observer.note
        )
    )


def build_network(
    profile: Profile, dataset: Dataset, resolved: Resolved, *, from_checkpoint: bool
) -> tuple[nn.Module, str | None]:
    """The network on the CPU, frozen as the profile says, and its pretrained weights in words if it has any.

    Weights are drawn from the seed, the same on every device, and then replaced by the pretrained ones, unless all
    weights come `from_checkpoint` later.
    """
    model = profile.model
    devices.reseed(torch.device("cpu"), profile.seed, "init")
    network = create_network(profile, dataset, resolved, len(dataset.classes))
    if not model.pretrained and model.freeze == "none":
        return network, None
    other = create_network(profile, dataset, resolved, len(dataset.classes) + 1)
    head = head_names(network.state_dict(), other.state_dict())
    pretrained = None
    if model.pretrained and not from_checkpoint:
        try:
            pretrained = load_pretrained(network, model, head)
        except WeightsError as error:
            raise resolved.error("model.pretrained", str(error)) from None
    if model.freeze == "backbone":
        if not head:
            raise resolved.error("model.freeze", f"{model.arch} has no head: nothing in it depends on the classes")
        freeze_backbone(network, head)
    return network, pretrained


def create_network(profile: Profile, dataset: Dataset, resolved: Resolved, num_classes: int) -> nn.Module:
    """The network that the profile names, with weights from torch's generator; ProfileError where it cannot be."""
    try:
        return architectures.create(
            profile.model.arch,
            num_classes=num_classes,
            in_channels=dataset.channels,
            image_size=profile.data.image_size,
            **profile.model.options,
        )
    except (ValueError, TypeError) as error:
        raise resolved.error("model.arch", f"{profile.model.arch}: {error}") from None
