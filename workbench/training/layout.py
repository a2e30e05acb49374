"""The memory layout of images and kernels: channels last suits tensor cores, and a CPU when images are not small.

Measured on a CPU, one thread, a step in channels last over one in the usual layout: at 224 px ResNet-18 1.16 times as
fast, MobileNetV2 1.55, SqueezeNet 1.1 1.45; at 64 px 0.99, 1.35, 1.44; at 32 px 0.88, 1.11, 1.24.
"""

import time

import torch
from torch import nn

from workbench.data import Dataset
from workbench.profile import Profile
from workbench.training.devices import autocast
from workbench.training.fit import is_out_of_memory, synthetic

CPU_PIXELS = 64
"""From this image size on, channels last on a CPU."""
TRIAL_IMAGES = 32
TRIAL_STEPS = 10


def choose_layout(
    profile: Profile, network: nn.Module, dataset: Dataset, device: torch.device, precision: str
) -> torch.memory_format:
    """torch.channels_last or torch.contiguous_format, as `train.channels_last` says.

    auto, for convolutional networks: on a CUDA device both are tried. Elsewhere, and for a run that must repeat to the
    bit, a rule decides and not a stopwatch, whose choice would change the result.
    """
    wanted = profile.train.channels_last
    if wanted != "auto":
        return torch.channels_last if wanted == "on" else torch.contiguous_format
    convolutional = any(isinstance(m, nn.Conv2d) and m.kernel_size != m.stride for m in network.modules())
    if not convolutional:
        return torch.contiguous_format
    if device.type == "cpu" or profile.train.deterministic:
        return torch.channels_last if profile.data.image_size >= CPU_PIXELS else torch.contiguous_format
    if device.type != "cuda":
        return torch.contiguous_format
    layouts = (torch.contiguous_format, torch.channels_last)
    return min(layouts, key=lambda layout: _seconds(profile, network, dataset, device, precision, layout))


def _seconds(
    profile: Profile,
    network: nn.Module,
    dataset: Dataset,
    device: torch.device,
    precision: str,
    layout: torch.memory_format,
) -> float:
    """Time of some steps in `layout`; the network's buffers and gradients are afterwards as before."""
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.to(memory_format=layout)
    network.train()
    images = min(TRIAL_IMAGES, profile.data.batch_size)
    batch = synthetic(images, dataset.channels, profile.data.image_size, len(dataset.classes), device)
    pixels = batch.images.contiguous(memory_format=layout)
    started = 0.0
    try:
        for step in range(TRIAL_STEPS + 3):
            if step == 3:
                torch.cuda.synchronize(device)
                started = time.perf_counter()
            with autocast(device, precision):
                output = network(pixels)
            logits = output[0] if isinstance(output, tuple) else output
            nn.functional.cross_entropy(logits.float(), batch.labels).backward()  # type: ignore[no-untyped-call]
            network.zero_grad(set_to_none=True)
        torch.cuda.synchronize(device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return float("inf")
    finally:
        network.zero_grad(set_to_none=True)
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    return time.perf_counter() - started
