"""A trained model for use elsewhere: safetensors and JSON, and ONNX beside them."""

from __future__ import annotations

import inspect
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from analysis.record import SETTINGS, WEIGHTS
from experiments.deploy.predict import Trained, load_model
from experiments.errors import UserError
from models import Reader

ONNX = "model.onnx"
# Sums in another order.
_MOST = 1e-4


class _Read(nn.Module):
    """The scores that are read: those of an auxiliary column head are not."""

    def __init__(self, model: Reader) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        scores = self.model(images)
        return tuple(s for s in (scores.steps, scores.lengths) if s is not None)


def export(artifacts: Path, folder: Path) -> float:
    """Make the folder from a finished run's artifacts; returns how far ONNX and torch differ.

    Raises UserError where there is such a folder, or where ONNX does not say the same.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name another folder")
    if not folder.parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder; make it, or name another")
    trained = load_model(artifacts)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        making.chmod(0o755)  # a temporary folder is closed to others
        for name in (SETTINGS, WEIGHTS):
            shutil.copyfile(artifacts / name, making / name)
        outputs = write_onnx(trained, making / ONNX)
        difference = max(
            difference_to_torch(trained, making / ONNX, _noise(trained, count)) for count in (1, 3)
        )
        if not difference <= _MOST:
            raise UserError(
                f"{artifacts}: its ONNX model differs from torch by {difference:.1g}; use the "
                "safetensors"
            )
        (making / "README.md").write_text(_readme(trained, outputs), encoding="utf-8")
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return difference


def write_onnx(trained: Trained, file: Path) -> list[str]:
    """The model as ONNX with a free batch size; returns its outputs' names. Raises UserError."""
    model = _Read(trained.model).eval()
    images = _noise(trained, 2)
    outputs = ["steps", "lengths"][: len(model(images))]
    try:
        with warnings.catch_warnings():
            # Of torch's exporter about torch's own LSTM and functions: nothing to be done here.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model,
                (images,),
                dynamo=True,
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                input_names=["images"],
                output_names=outputs,
                verbose=False,
            )
        assert program is not None
        model_proto = program.model_proto
    except Exception as error:  # of any kind: a layer that the exporter does not know
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"this model cannot be written as ONNX ({reason})") from error
    # Where in which file on this machine each node was made is nobody else's.
    for node in model_proto.graph.node:
        del node.metadata_props[:]
    onnx.save_model(model_proto, file)
    return outputs


def difference_to_torch(trained: Trained, file: Path, images: Tensor) -> float:
    """The largest difference of a score, over the largest score. images: (N, C, H, W) in 0..1."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": images.numpy()})
    with torch.inference_mode():
        expected = [scores.numpy() for scores in _Read(trained.model).eval()(images)]
    return max(
        float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(found, expected, strict=True)
    )


def _noise(trained: Trained, count: int) -> Tensor:
    size = trained.size
    shape = (count, size.channels, size.height, size.width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _readme(trained: Trained, outputs: list[str]) -> str:
    size, objective = trained.size, trained.objective
    charset = objective.charset
    grey = ", grey (0.299 R + 0.587 G + 0.114 B)" if size.channels == 1 else ""
    pad = f", {size.pad} rows of black above and below" if size.pad else ""
    described = {
        "steps": "(N, steps, classes), the scores of each step",
        "lengths": "(N, lengths), the scores of a text's length, from 1 character on",
    }
    lines = "\n".join(f"- `{name}`: float32 {described[name]}, not normalised" for name in outputs)
    return f"""# A reader of short handwritten numbers

`{WEIGHTS}` and `{SETTINGS}` are the trained model of one run; `{ONNX}` is the same in
ONNX and was held against torch when this folder was made.

## Input

`images`: float32 (N, {size.channels}, {size.height}, {size.width}) in 0..1, any N. An image file
becomes one by: upright by its EXIF tag, what is transparent on white, RGB{grey}{pad},
stretched to {size.width}x{size.height} pixels (Pillow's BILINEAR), divided by 255.

## Output

{lines}

Of {objective.num_classes} classes the first {len(charset)} are the characters `{charset}` in this
order; what stands behind them is no character.

## From scores to a text and its confidence

{inspect.getdoc(type(objective))}

{inspect.getdoc(type(objective).decode)}
"""
