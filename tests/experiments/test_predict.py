"""A finished run reads new images as it read its own."""

from safetensors.torch import save_file

from experiments import predict
from experiments.config import run_config
from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.reading import read
from experiments.train import build


def test_new_images_are_brought_to_the_size_and_pad_of_the_run(make_cells, tmp_path, monkeypatch):
    cells = read_cells(
        make_cells(train=4, dev=2, human=0, duplicates=0, human_leaked=0), "0123456789.-"
    )
    settings = {"image": {"height": 32, "width": 40, "pad": 26}, "hidden": 16, "width_stride": 8}
    config = run_config(settings, {})
    model, objective = build(config)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "mlflow.db").touch()
    # A run without the store that it would be found in.
    monkeypatch.setattr(predict, "Tracker", lambda out: type("", (), {"artifacts": lambda *_: out}))
    found = dict(predict.predict("a run", [row.path for row in cells.rows], tmp_path))
    readings = {
        pad: read(model.eval(), objective, load_images(cells, 32, 40, 1, pad=pad).pixels)
        for pad in (26, 0)
    }
    assert list(found.values()) == readings[26]
    assert readings[26] != readings[0]
