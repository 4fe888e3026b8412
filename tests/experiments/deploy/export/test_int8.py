"""Integers in place of floats: what is written, what it still reads, and which kind is taken."""

import logging

import numpy as np
import onnx
import pytest

from experiments.data.decode import decode
from experiments.data.synthetic.strings import ensure_strings
from experiments.deploy.export import int8
from experiments.deploy.export.int8 import KINDS, write_int8
from experiments.deploy.export.part import Part
from experiments.deploy.model import load_model
from experiments.deploy.reading.onnx_reader import OnnxReader
from experiments.readers import reader_folder


@pytest.mark.slow
def test_a_reader_of_the_suite_reads_nearly_the_same_with_integers(tmp_path, caplog, monkeypatch):
    folder = reader_folder("ce_stop")  # it has products of every kind
    trained = load_model(folder)
    made = ensure_strings(tmp_path, counts={"train": 100, "val": 1, "dev": 1})
    shape = tuple(trained.size.model_dump().values())
    pixels = np.stack([decode(file, *shape).pixels for file in sorted(made.rglob("*.jpg"))])
    expected = trained.read(pixels)
    part = Part(pixels, [reading.text for reading in expected])
    file = tmp_path / "model.int8.onnx"
    # These are not the cells that it knows, and it is unsure of some.
    monkeypatch.setattr(int8, "MOST_LOST", 0.05)
    (tried,) = write_int8(trained, pixels, part, file)
    assert tried.kind.name == "all"
    assert part.right(OnnxReader(file)).mean() == tried.validation >= 0.95
    # The quantiser has remarks where it is used wrongly.
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    sure = [confidence for _, confidence, _ in OnnxReader(file).read(pixels)]
    assert np.abs(np.subtract(sure, [r.confidence for r in expected])).mean() < 0.05
    # Of the weights hardly one is a float any more; they have 7 bits.
    weights = onnx.load(file).graph.initializer
    large = [w for w in weights if np.prod(w.dims) > 1000]
    whole = [w for w in large if w.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(w.dims) for w in whole) > 0.9 * sum(np.prod(w.dims) for w in large)
    assert all(np.abs(onnx.numpy_helper.to_array(w).astype(int)).max() <= 64 for w in whole)
    assert file.stat().st_size < 0.6 * (folder / "model.onnx").stat().st_size


class Right:
    """Reads so many of 1,000 images right, whose labels are all 1."""

    def __init__(self, count):
        self.count = count

    def read(self, pixels):
        return [("1" if image.flat[0] < self.count else "2", 1.0, ()) for image in pixels]


PART = Part(np.arange(1000).reshape(1000, 1, 1, 1), ["1"] * 1000)


@pytest.mark.parametrize(
    ("counts", "tried"),
    [
        ((895, 0, 0), ["all"]),
        ((894, 896, 0), ["all", "convolutions"]),
        ((1000, 0, 0), ["all"]),
        # None keeps to it: the best is taken.
        ((500, 894, 700), ["all", "all but convolutions", "convolutions"]),
    ],
)
def test_the_smallest_that_keeps_what_validation_had_is_taken(counts, tried, tmp_path, monkeypatch):
    def quantise(_whole, _training, kind, file):
        file.write_text(str(KINDS.index(kind)))

    monkeypatch.setattr(int8, "_write_float", lambda *_: None)
    monkeypatch.setattr(int8, "_quantise", quantise)
    monkeypatch.setattr(int8, "OnnxReader", lambda file: Right(counts[int(file.read_text())]))
    found = write_int8(Right(900), PART.pixels, PART, tmp_path / "model")
    assert [one.kind.name for one in found] == tried
    assert KINDS[int((tmp_path / "model").read_text())].name == tried[-1]
    assert found[-1].validation == counts[KINDS.index(found[-1].kind)] / 1000
