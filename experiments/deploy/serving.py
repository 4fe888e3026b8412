"""What MLflow's server runs: encoded images in, readings out.

MLflow imports this file by its name from a copy of the code that is registered with the weights
(experiments/deploy/registry.py), so that no object has to be pickled. It knows no MLflow itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from experiments.deploy.model import load_model, read_images
from losses import Reading

IMAGE = "image"


class ServedReader:
    """A trained model behind the interface that MLflow asks for."""

    def __init__(self, folder: Path) -> None:
        self._trained = load_model(folder)

    def predict(self, images: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """The columns value, confidence and characters, its own for each, a row an image.

        images: a column `image` of bytes, each an image file of any kind that Pillow opens; in
        JSON they are base64, which MLflow takes off. Raises UserError for one that is no image.
        """
        readings = read_images(self._trained, [bytes(content) for content in images[IMAGE]])
        return pd.DataFrame(readings, columns=list(Reading._fields)).rename(
            columns={"text": "value"}
        )


def _load_pyfunc(folder: str) -> ServedReader:
    """The entry that MLflow calls with the folder of weights and settings."""
    return ServedReader(Path(folder))
