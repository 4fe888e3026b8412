"""A trained model for use elsewhere: safetensors and JSON, and ONNX beside them.

The ONNX file holds the decoding as well, and says in its own metadata which images it takes and
what its classes are, so that it reads by itself (onnx_reader.py).
"""

from __future__ import annotations

import inspect
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from analysis.record import SETTINGS, WEIGHTS
from experiments.deploy.model import Trained, load_model
from experiments.deploy.onnx_reader import ABOUT, ONNX, opened
from experiments.errors import UserError
from experiments.files import whole_folder
from losses import Objective
from models import Reader

# Sums in another order.
_MOST = 1e-4
_READINGS = ("classes", "characters", "confidence")
# Below so many weights a tensor is not worth a node of the graph.
_WORTH_IT = 64


class _Read(nn.Module):
    """The scores that are read, and the readings; not the scores of an auxiliary column head."""

    def __init__(self, model: Reader, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        scores = self.model(images)
        classes, characters, confidence = self.objective.spell(scores)
        read = (classes, characters.float(), confidence.float())
        return *(s for s in (scores.steps, scores.lengths) if s is not None), *read


def export(artifacts: Path, folder: Path) -> float:
    """Make the folder from a finished run's artifacts; returns how far ONNX and torch differ.

    Raises UserError where there is such a folder, or where ONNX does not say the same.
    """
    with whole_folder(folder) as making:
        trained = load_model(artifacts)
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
    return difference


def write_onnx(trained: Trained, file: Path) -> list[str]:
    """The model as ONNX with a free batch size; returns its outputs' names. Raises UserError."""
    model = _Read(trained.model, trained.objective).eval()
    images = _noise(trained, 2)
    outputs = ["steps", "lengths"][: len(model(images)) - len(_READINGS)] + list(_READINGS)
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
                # onnxruntime does that as it opens the file; done here, normalisation would be
                # multiplied into weights, which half precision could then not hold exactly.
                optimize=False,
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
    _store_halves(model_proto.graph)
    about = {"charset": trained.objective.charset, "image": trained.size.model_dump()}
    helper.set_model_props(model_proto, {ABOUT: json.dumps(about)})
    onnx.save_model(model_proto, file)
    return outputs


def _store_halves(graph: onnx.GraphProto) -> None:
    """Weights that lose nothing by it in half precision, and back as the file is opened."""
    for weights in list(graph.initializer):
        values = numpy_helper.to_array(weights)
        if weights.data_type != TensorProto.FLOAT or values.size < _WORTH_IT:
            continue
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if np.array_equal(halves, values):
            name = f"{weights.name}.half"
            graph.initializer.remove(weights)
            graph.initializer.append(numpy_helper.from_array(halves, name))
            back = helper.make_node("Cast", [name], [weights.name], to=TensorProto.FLOAT)
            graph.node.insert(0, back)


def difference_to_torch(trained: Trained, file: Path, images: Tensor) -> float:
    """The largest difference of a score, over the largest score. images: (N, C, H, W) in 0..1."""
    session = opened(file.read_bytes())
    names = [o.name for o in session.get_outputs() if o.name not in _READINGS]
    found = session.run(names, {"images": images.numpy()})
    with torch.inference_mode():
        scores = trained.model.eval()(images)
        expected = [s.numpy() for s in (scores.steps, scores.lengths) if s is not None]
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
    lines = "\n".join(
        f"- `{name}`: float32 {described[name]}, not normalised"
        for name in outputs
        if name in described
    )
    return f"""# A reader of short handwritten numbers

`{WEIGHTS}` and `{SETTINGS}` are the trained model of one run; `{ONNX}` is the same in
ONNX and was held against torch when this folder was made.

## Input

`images`: float32 (N, {size.channels}, {size.height}, {size.width}) in 0..1, any N. An image file
becomes one by: upright by its EXIF tag, what is transparent on white, RGB{grey}{pad},
stretched to {size.width}x{size.height} pixels (Pillow's BILINEAR), divided by 255.

## Output

- `classes`: int64 (N, steps), what is read: the class of a character, from the left, or -1
- `characters`: float32 (N, steps), the probability of each such character
- `confidence`: float32 (N,), the probability of the whole text
{lines}

Of {objective.num_classes} classes the first {len(charset)} are the characters `{charset}` in this
order; what stands behind them is no character.

## How scores become a text and its confidence

{inspect.getdoc(type(objective))}

{inspect.getdoc(type(objective).spell)}
"""
