"""Models for elsewhere: what ONNX says against torch, and what stands in the folder."""

import itertools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from experiments.deploy import export as module
from experiments.deploy.export import export, write_onnx
from experiments.deploy.model import Trained, load_model, pixels_of
from experiments.deploy.onnx_reader import OnnxReader
from experiments.deploy.predict import open_reader, predict
from experiments.errors import UserError
from experiments.settings.config import ImageSize, run_config
from models import DECODERS, Scores
from tests.arms import DEFAULT_ARMS, HEIGHT, LABELS, WIDTH, drawn, evaluate
from tests.command_line import one_line

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


def by_the_readme(file, session, charset):
    """A reading by nothing but the folder's own words, for the columns of a CTC model."""
    _, channels, height, width = session.get_inputs()[0].shape
    assert channels == 1
    rgb = np.asarray(Image.open(file).convert("RGB"), dtype=float)
    grey = (rgb @ [0.299, 0.587, 0.114]).round().astype(np.uint8)
    grey = np.pad(grey, ((9, 9), (0, 0)))
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    images = np.asarray(small, dtype=np.float32)[None, None] / 255
    (steps,) = session.run(["steps"], {"images": images})
    merged = [key for key, _ in itertools.groupby(steps[0].argmax(axis=-1))]
    return "".join(charset[c] for c in merged if c < len(charset))


@pytest.fixture(scope="module")
def exported(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    return folder, export(store.artifacts("columns"), folder)


@pytest.mark.slow
def test_the_folder_is_enough_to_read_by(store, exported):
    folder, difference = exported
    assert difference < 1e-5
    session = onnx_of(folder / "model.onnx")
    settings = json.loads((folder / "config.json").read_text())
    files = sorted(store.images.iterdir())
    expected = [row.value for row in predict(open_reader(store.artifacts("columns")), files)]
    found = [by_the_readme(file, session, settings["charset"]) for file in files]
    assert found == expected


@pytest.mark.slow
def test_the_folder_holds_the_run_and_a_word_on_it(store, exported, tmp_path):
    folder, artifacts = exported[0], store.artifacts("columns")
    names = {"README.md", "config.json", "model.onnx", "weights.safetensors"}
    assert {file.name for file in folder.iterdir()} == names
    for name in ("config.json", "weights.safetensors"):
        assert (folder / name).read_bytes() == (artifacts / name).read_bytes()
    assert run_config(json.loads((folder / "config.json").read_text()), {}).decoder == "columns"
    readme = (folder / "README.md").read_text()
    for words in (
        "(N, 1, 32, 80)",
        "`0123456789.-`",
        "Best path",
        "13 classes",
        "80x32",
        "9 rows of black",
    ):
        assert words in readme
    # As open to others as any new file.
    (tmp_path / "new").touch()
    mode = (tmp_path / "new").stat().st_mode
    assert {file.stat().st_mode for file in folder.iterdir()} == {mode}


@pytest.mark.slow
def test_onnx_tells_nothing_of_this_machine(exported):
    content = (exported[0] / "model.onnx").read_bytes()
    assert module.__file__.encode() not in content
    assert b".py" not in content
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.slow
def test_from_the_command_line(cli, store, tmp_path):
    run = ("--run", store.runs["latent_lstm"], "--out", store.out)
    folder = tmp_path / "model"
    code, out, _ = cli("export", *run, "--output", folder)
    assert (code, str(folder) in out) == (0, True)
    trained = load_model(store.artifacts("latent_lstm"))
    cells = [pixels_of(file, trained.size) for file in sorted(store.images.iterdir())]
    assert_alike(trained, folder / "model.onnx", torch.stack(cells) / 255)
    # Nothing is overwritten, and nothing is left behind.
    kept = (folder / "README.md").stat().st_mtime_ns
    one_line(cli("export", *run, "--output", folder), folder, "another")
    assert (folder / "README.md").stat().st_mtime_ns == kept
    one_line(cli("export", *run, "--output", tmp_path / "no/model"), tmp_path / "no")
    champion = ("--run", "champion", "--out", store.out)
    one_line(cli("export", "--output", tmp_path / "x", *champion), "champion")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_model_that_cannot_be_written_is_refused(store, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no such operator\nand a long story")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UserError, match="as ONNX \\(no such operator\\)"):
        export(store.artifacts("columns"), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnx_that_says_something_else_is_refused(store, exported, tmp_path, monkeypatch):
    # The run's weights, one of them changed, against the ONNX model as it was.
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    weights = load_file(store.artifacts("columns") / "weights.safetensors")
    weights["characters.bias"][3] += 0.1
    save_file(weights, artifacts / "weights.safetensors")
    settings = (store.artifacts("columns") / "config.json").read_bytes()
    (artifacts / "config.json").write_bytes(settings)
    assert load_model(artifacts)

    def write_the_old(_, file):
        file.write_bytes((exported[0] / "model.onnx").read_bytes())
        return ["steps"]

    monkeypatch.setattr(module, "write_onnx", write_the_old)
    with pytest.raises(UserError, match=r"differs from torch by 0\.\d+;"):
        export(artifacts, tmp_path / "model")
    assert list(tmp_path.iterdir()) == [artifacts]
