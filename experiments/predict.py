"""A finished run reads the user's own images."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from experiments.config import ImageSize, run_config
from experiments.data.decode import decode
from experiments.errors import UserError
from experiments.reading import read
from experiments.tracking import Tracker
from experiments.train import build
from losses import Objective, Reading
from models import Reader

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def load_model(artifacts: Path) -> tuple[Reader, Objective, ImageSize]:
    """The trained model of a run, its objective and its image size."""
    settings = json.loads((artifacts / "config.json").read_text(encoding="utf-8"))
    try:
        # The weights come from the run, not from where its training began.
        config = run_config(settings, {"pretrained": "none"})
        model, objective = build(config)
        model.load_state_dict(load_file(artifacts / "weights.safetensors"))
    except (UserError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{artifacts}: cannot be loaded ({error}); train the run again") from error
    return model.eval(), objective, config.image


def predict(run_id: str, paths: list[Path], out: Path) -> list[tuple[str, Reading]]:
    """File names and readings. paths: images, or folders of images. Raises UserError."""
    artifacts = Tracker(out).artifacts(run_id) if (out / "mlflow.db").exists() else None
    if artifacts is None:
        raise UserError(f"{run_id}: no finished run in {out}; take an id from its report or the UI")
    files = [file for path in paths for file in _images(path)]
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    model, objective, size = load_model(artifacts)
    decoded = [decode(file, size.height, size.width, size.channels, size.pad) for file in files]
    pixels = torch.stack([torch.from_numpy(image.pixels.copy()) for image in decoded])
    return list(zip(names, read(model, objective, pixels), strict=True))


def write(readings: list[tuple[str, Reading]], output: Path) -> None:
    """filename;value;confidence rows behind a header. Raises UserError rather than overwrite."""
    making = output.with_name(f".{output.name}.making")
    try:
        with making.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, delimiter=";", lineterminator="\n")
            writer.writerow(["filename", "value", "confidence"])
            writer.writerows([name, text, f"{sure:.4f}"] for name, (text, sure) in readings)
        os.link(making, output)  # unlike a rename, this fails where there is a file
    except FileExistsError:
        raise UserError(f"{output}: exists already; name another file") from None
    finally:
        making.unlink(missing_ok=True)


def _images(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES),
            key=lambda p: (len(p.name), p.name),
        )
        if not found:
            raise UserError(f"{path}: no images here; name a folder that has some")
        return found
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    return [path]
