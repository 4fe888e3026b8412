"""A trained model as ONNX with weights and sums of 8-bit integers.

Convolutions and matrix products get their scales from training images (static quantisation), an
LSTM takes them from each input (dynamic). Weights have 7 bits, a scale a channel: processors
without instructions for 8-bit sums (VNNI) add two products in 16 bits, where 8-bit weights
overflow. Normalisation is first multiplied into the convolutions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from experiments.deploy.export.onnx_file import onnx_model
from experiments.deploy.export.part import Part
from experiments.deploy.model import Trained
from experiments.deploy.reading.onnx_reader import OnnxReader

# The share of readings that an export may lose.
MOST_LOST = 0.005
# Images that the scales are taken from, spread over the training part.
_CALIBRATING = 256
_BATCH = 32


class Kind(NamedTuple):
    """Which operations become integers: with scales from training images, and from each input."""

    name: str
    static: tuple[str, ...]
    dynamic: tuple[str, ...]


# From the smallest file to the largest.
KINDS = (
    Kind("all", ("Conv", "MatMul", "Gemm"), ("LSTM",)),
    Kind("convolutions", ("Conv",), ()),
    Kind("all but convolutions", (), ("MatMul", "Gemm", "LSTM")),
)


class Tried(NamedTuple):
    """A kind, and how much of the validation part it reads right."""

    kind: Kind
    validation: float


def write_int8(
    trained: Trained, training: npt.NDArray[np.uint8], validation: Part, file: Path
) -> list[Tried]:
    """Write the smallest file that loses at most MOST_LOST of the validation part.

    Where none keeps to that it is the one that reads most of it right.
    training: (N, C, H, W), what the scales come from. validation: what decides between kinds.
    Returns what was tried, the file's own kind last. Raises UserError.
    """
    wanted = validation.right(trained).mean() - MOST_LOST
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float.onnx"
        _write_float(trained, whole)
        files = {kind: Path(folder) / f"{kind.name}.onnx" for kind in KINDS}
        for kind, made in files.items():
            _quantise(whole, training, kind, made)
            right = float(validation.right(OnnxReader(made)).mean())
            tried.append(Tried(kind, right))
            if right >= wanted:
                break
        else:
            tried.sort(key=lambda one: one.validation)
        file.write_bytes(files[tried[-1].kind].read_bytes())
    return tried


def _write_float(trained: Trained, file: Path) -> None:
    """The model with all that never changes computed: each weight is a tensor of its own."""
    model = onnx_model(trained, optimize=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    options.log_severity_level = 3  # errors
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    # A word by which the quantiser knows that this was done.
    model = onnx.load(file)
    add_pre_process_metadata(model)
    onnx.save_model(model, file)


def _quantise(whole: Path, training: npt.NDArray[np.uint8], kind: Kind, file: Path) -> None:
    now = whole
    # In this order: the other way round the quantiser warns of a model that is quantised already.
    if kind.dynamic:
        quantize_dynamic(
            now,
            file,
            op_types_to_quantize=list(kind.dynamic),
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        now = file
    if kind.static:
        quantize_static(
            now,
            file,
            _Calibrating(training),
            op_types_to_quantize=list(kind.static),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )


class _Calibrating(CalibrationDataReader):  # type: ignore[misc]  # without types
    """Batches of training images, as the quantiser asks for them."""

    def __init__(self, training: npt.NDArray[np.uint8]) -> None:
        self._batches = self._from(training[:: max(1, len(training) // _CALIBRATING)])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The next batch; None behind the last."""
        return next(self._batches, None)

    @staticmethod
    def _from(images: npt.NDArray[np.uint8]) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
        for start in range(0, len(images), _BATCH):
            yield {"images": images[start : start + _BATCH].astype(np.float32) / np.float32(255)}
