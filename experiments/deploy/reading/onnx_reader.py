"""A model as export writes it, at work under onnxruntime: torch takes seconds to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from experiments.errors import UserError

ONNX = "model.onnx"
# The key of the file's own metadata under which it says what it reads.
ABOUT = "reader"


def opened(content: bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """A model on the CPU, without remarks on which of its nodes stay as they are.

    threads: 0 leaves their number to onnxruntime.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class Size(NamedTuple):
    """What the model sees, as in experiments.settings.parts.ImageSize."""

    height: int
    width: int
    channels: int
    pad: int


class OnnxReader:
    """Reads images by an ONNX file alone: decoding is part of its graph."""

    def __init__(self, file: Path, threads: int = 0) -> None:
        """Raises UserError for a file that is none of ours."""
        try:
            # As bytes, so that no other file that it may name is opened.
            self._session = opened(file.read_bytes(), threads)
            about: dict[str, Any] = json.loads(
                self._session.get_modelmeta().custom_metadata_map[ABOUT]
            )
            self.size, self._charset = Size(**about["image"]), str(about["charset"])
        except Exception as error:  # of any kind: onnxruntime has many, of no common parent
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{file}: no reader that this suite wrote ({reason}); put it back, or export again"
            ) from error

    def read(self, pixels: npt.NDArray[np.uint8]) -> list[tuple[str, float, tuple[float, ...]]]:
        """A reading of every image: text, confidence, and that of each character.

        pixels: (N, C, H, W).
        """
        images = pixels.astype(np.float32) / np.float32(255)
        outputs = ["classes", "characters", "confidence"]
        classes, each, sure = self._session.run(outputs, {"images": images})
        return [
            (
                "".join(self._charset[c] for c in row if c >= 0),
                float(confidence),
                tuple(float(p) for p in of_row[row >= 0]),
            )
            for row, of_row, confidence in zip(classes, each, sure, strict=True)
        ]
