"""The loop closed: what a review saved is learnt from, and what was learnt reads."""

import json

import pytest

from analysis.record import SETTINGS
from experiments.deploy.review.labels import Labelled
from experiments.readers import FOLDER, reader_names
from experiments.records.tracker import Tracker


@pytest.mark.slow
@pytest.mark.parametrize("name", reader_names())
def test_a_reader_goes_on_with_what_was_corrected(make_cells, cli, tmp_path, name):
    cells = make_cells(train=30)
    images = sorted((cells / "cell_images/training_set").iterdir())
    labelled = Labelled(tmp_path / "labelled", images)
    for number in range(len(images)):
        labelled.label(number, str(number))
    out = tmp_path / "out"
    # As the page says in the end, with fewer epochs and smaller batches.
    code, said, err = cli(
        *("train", "--config", FOLDER / name / "config.json", "--data", tmp_path / "labelled"),
        *("--set", f"start={name}", "--set", "epochs=1", "--set", "batch_size=8", "--out", out),
    )
    assert code == 0, err
    run_id = said.splitlines()[-1]
    made = Tracker(out).artifacts(run_id)
    assert json.loads((made / SETTINGS).read_text())["start"].startswith(f"{name}-")
    code, said, err = cli("predict", images[0], "--run", run_id, "--out", out)
    assert code == 0, err
    assert images[0].name in said
