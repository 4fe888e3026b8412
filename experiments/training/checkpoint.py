"""Checkpoints: one safetensors file, written whole or not at all, that proves whose it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from experiments.files import refuse_folder, whole

# Raise it when a file of today could no longer be gone on from.
FORMAT = "1"


class UnusableError(Exception):
    """A file that is no whole checkpoint of this run; says why."""


class Saved(NamedTuple):
    """What a checkpoint holds: named tensors, and state that JSON can hold."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(file: Path, saved: Saved, owner: str) -> None:
    """Write the file whole or not at all, under its run's lock. owner: the hash of its run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()}
    text = json.dumps(saved.state)
    about = {"format": FORMAT, "owner": owner, "state": text}
    with whole(file, alone=True) as making:
        save_file(tensors, making, about | {"digest": _digest(tensors, about)})


def load(file: Path, owner: str) -> Saved | None:
    """What `save` wrote for this run; None where there is no such file.

    Raises UnusableError, and UserError for a folder in its place.
    """
    refuse_folder(file)
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as handle:
            about = dict(handle.metadata() or {})
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise UnusableError("it is not whole") from error
    if about.get("format") != FORMAT:
        raise UnusableError("another version of the suite wrote it")
    if about.pop("digest", "") != _digest(tensors, about):
        raise UnusableError("it is damaged: its content does not have the digest noted in it")
    if about["owner"] != owner:
        raise UnusableError(f"it belongs to the run {about['owner']}")
    return Saved(tensors, json.loads(about["state"]))


def _digest(tensors: dict[str, Tensor], about: dict[str, str]) -> str:
    """SHA-256 of everything that a checkpoint says, whatever the order in the file."""
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def optimizer_tensors(optimizer: Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimiser's state as named tensors, and its parameter groups."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": value
        for index, values in state["state"].items()
        for name, value in values.items()
        if value is not None
    }
    return tensors, state["param_groups"]


def restore_optimizer(
    optimizer: Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """The inverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})
