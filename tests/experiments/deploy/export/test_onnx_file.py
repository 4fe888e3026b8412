"""What ONNX says against torch."""

import onnxruntime
import pytest
import torch

from experiments.deploy.export.onnx_file import write_onnx
from experiments.deploy.model import Trained
from experiments.deploy.reading.onnx_reader import OnnxReader
from experiments.settings.parts import ImageSize
from models import DECODERS, Scores
from tests.arms import DEFAULT_ARMS, HEIGHT, LABELS, WIDTH, drawn, evaluate

# An export takes seconds: each decoder once, two of them from runs.
FROM_RUNS = ("columns", "latent_lstm")
OTHERS = {arm.decoder: arm for arm in DEFAULT_ARMS if arm.decoder not in FROM_RUNS}


def onnx_of(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def assert_alike(trained, file, images):
    """ONNX and torch say the same of images (N, C, H, W) in 0..1, in batches of any size."""
    session = onnx_of(file)
    readings = ["classes", "characters", "confidence"]
    for batch in (images[:1], images[:3], images):
        expected = evaluate(trained.model, batch)
        found = session.run(None, {"images": batch.numpy()})
        raw = ["steps", "lengths"][: len(found) - 3]
        assert [o.name for o in session.get_outputs()] == raw + readings
        scores = Scores(*map(torch.from_numpy, found[:-3]))
        assert scores.steps.shape == expected.steps.shape
        for said, meant in ((scores.steps, expected.steps), (scores.lengths, expected.lengths)):
            if said is not None:
                assert (said - meant).abs().max() < 1e-4 * meant.abs().max()
        meant = trained.objective.decode(expected)
        assert [r.text for r in trained.objective.decode(scores)] == [r.text for r in meant]
        pixels = (255 * batch).round().to(torch.uint8)
        torch.testing.assert_close(pixels / 255, batch)
        for (text, sure, each), reading in zip(
            OnnxReader(file).read(pixels.numpy()), meant, strict=True
        ):
            assert text == reading.text
            assert sure == pytest.approx(reading.confidence, rel=1e-3, abs=1e-6)
            assert each == pytest.approx(reading.characters, rel=1e-3, abs=1e-6)


def test_every_decoder_is_tried(store):
    assert {*FROM_RUNS, *OTHERS} == set(DECODERS)
    assert set(store.runs) == set(FROM_RUNS)


@pytest.mark.slow  # torch takes seconds to write an ONNX file
@pytest.mark.parametrize("decoder", OTHERS)
def test_onnx_says_what_torch_says(decoder, tmp_path):
    objective, model = OTHERS[decoder].make()
    images = (255 * drawn(LABELS)).round() / 255
    with torch.no_grad():  # batch statistics and weights that tell images apart
        model.train()(images)
        for weights in model.parameters():
            weights.mul_(2)
    trained = Trained(model.eval(), objective, ImageSize(height=HEIGHT, width=WIDTH))
    write_onnx(trained, tmp_path / "model.onnx")
    assert_alike(trained, tmp_path / "model.onnx", images)
