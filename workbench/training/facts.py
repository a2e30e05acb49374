"""What is known about a run before its first step: for run.json, and in one line for a person."""

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import workbench
from workbench.inspect.counts import count_macs, count_parameters
from workbench.profile import Profile
from workbench.training import devices
from workbench.training.job import Job


def gather_facts(job: Job, kept: Profile) -> dict[str, Any]:
    """What run.json says besides id and time; `kept`: the profile that the run keeps."""
    profile, dataset = job.profile, job.dataset
    frozen = {"trainable_parameters": count_parameters(job.network)} if profile.model.freeze != "none" else {}
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    try:
        macs = count_macs(job.network, dataset.channels, profile.data.image_size)
    except Exception:  # noqa: BLE001  # a user's own network may not run on the meta device; then MACs are not known
        macs = None
    return {
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "versions": {
            "cnn-workbench": workbench.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda if job.device.type == "cuda" else None,
        },
        "git": git_commit(),
        "device": devices.describe_device(job.device),
        "gpu": devices.uuid_of(job.device),
        "precision": job.precision,
        "threads": job.recipe["threads"],
        "world": job.ranks.world,
        "channels_last": job.recipe["channels_last"],
        "seed": profile.seed,
        "profile": kept.model_dump(exclude={"extends"}, exclude_none=True, mode="json"),
        "arch": profile.model.arch,
        "parameters": sum(parameter.numel() for parameter in job.network.parameters()),
        **frozen,
        "pretrained": job.pretrained,
        "macs": macs,
        "data": {
            "dataset": dataset.name,
            "classes": list(dataset.classes),
            "channels": dataset.channels,
            "images": {name: split.size for name, split in splits.items() if split},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "fingerprint": dataset.fingerprint,
        },
    }


def git_commit() -> str | None:
    """The commit checked out in the working directory; None outside a repository."""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def describe(job: Job, facts: dict[str, Any]) -> str:
    """The run in one line."""
    size, images = job.profile.data.image_size, facts["data"]["images"]
    macs = f", {with_unit(facts['macs'])}MACs at {size} px" if facts["macs"] else ""
    trained = f" ({facts['trainable_parameters']:,} of them trained)" if "trainable_parameters" in facts else ""
    counts = ", ".join(f"{count:,} {name}" for name, count in images.items())
    return (
        f"{facts['arch']}: {facts['parameters']:,} parameters{trained}{macs}; "
        f"{job.dataset.name}: {counts} images, {len(job.dataset.classes)} classes; "
        f"{facts['device']}, {job.precision}, {facts['threads']} threads"
    )


def with_unit(count: int) -> str:
    """A count with three digits and a unit: 35.0 M, 1.81 G."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} "
