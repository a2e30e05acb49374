"""A model for others: its weights as .safetensors, which fine-tuning here and most tools elsewhere read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from workbench.runs.checkpoints import put_hashed
from workbench.runs.files import write_hashed


def export_model(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a state dict to `path`, in one step, with its SHA-256 beside it; `model.pretrained = "<path>"` reads it.

    `metadata` goes into the file's header, where all values are text: text as it is, anything else as JSON; what is
    None is left out. Tied weights are written under each of their names and every layout as contiguous, so that every
    reader finds every entry. OSError where the disk refuses, ValueError for an entry that is no tensor; `path` is then
    as it was.
    """
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} ({type(value).__name__}) is nothing that a .safetensors file can hold")
    # A copy of each: the package refuses tensors that share memory. Made in memory and written here, because a disk
    # that refuses is then an OSError with its reason.
    apart = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    content = safetensors.torch.save(apart, as_text(metadata))
    fresh = path.with_name(f".{path.name}.new")
    try:
        digest = write_hashed(fresh, lambda file: file.write(content))
        put_hashed(fresh, path, digest)
    finally:
        fresh.unlink(missing_ok=True)


def as_text(metadata: Mapping[str, Any]) -> dict[str, str]:
    """`metadata` as the header holds it. Others look at `format` to tell torch's weights from another library's."""
    told = {key: value for key, value in metadata.items() if value is not None}
    return {"format": "pt"} | {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in told.items()
    }
