"""A trained model as ONNX.

The file holds the decoding as well, and says in its own metadata which images it takes and what its
classes are, so that it reads by itself (onnx_reader.py).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from experiments.deploy.model import Trained
from experiments.deploy.reading.onnx_reader import ABOUT, opened
from experiments.errors import UserError
from losses import Objective
from models import Reader

READINGS = ("classes", "characters", "confidence")
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


def write_onnx(trained: Trained, file: Path) -> list[str]:
    """The model as ONNX with a free batch size; returns its outputs' names. Raises UserError.

    Its weights are stored in half precision where they lose nothing by it.
    """
    # onnxruntime optimises as it opens the file; done here, normalisation would be multiplied into
    # weights, which half precision could then not hold exactly.
    model = onnx_model(trained, optimize=False)
    _store_halves(model.graph)
    onnx.save_model(model, file)
    return [output.name for output in model.graph.output]


def onnx_model(trained: Trained, *, optimize: bool) -> onnx.ModelProto:
    """The model as ONNX, in single precision, with a free batch size. Raises UserError.

    optimize: whether to have what never changes computed now, normalisation among it.
    """
    model = _Read(trained.model, trained.objective).eval()
    images = noise(trained, 2)
    outputs = ["steps", "lengths"][: len(model(images)) - len(READINGS)] + list(READINGS)
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
                optimize=optimize,
                verbose=False,
            )
        assert program is not None
        proto = program.model_proto
    except Exception as error:  # of any kind: a layer that the exporter does not know
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"this model cannot be written as ONNX ({reason})") from error
    # Where in which file on this machine each node was made is nobody else's.
    for node in proto.graph.node:
        del node.metadata_props[:]
    about = {"charset": trained.objective.charset, "image": trained.size.model_dump()}
    helper.set_model_props(proto, {ABOUT: json.dumps(about)})
    return proto


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
    names = [o.name for o in session.get_outputs() if o.name not in READINGS]
    found = session.run(names, {"images": images.numpy()})
    with torch.inference_mode():
        scores = trained.model.eval()(images)
        expected = [s.numpy() for s in (scores.steps, scores.lengths) if s is not None]
    return max(
        float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(found, expected, strict=True)
    )


def noise(trained: Trained, count: int) -> Tensor:
    """Images (count, C, H, W) in 0..1 that a model takes, the same every time."""
    size = trained.size
    shape = (count, size.channels, size.height, size.width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
