"""What is asked about: rejected readings, the least sure first, and labels that are doubted."""

from hashlib import sha256

import pandas as pd
import pytest

from analysis.spreadsheets import as_csv
from experiments.data.cells import read_cells
from experiments.deploy.reading.predict import open_reader, predict
from experiments.deploy.review.doubtful import doubted, rejected
from experiments.errors import UserError
from experiments.readers import reader_folder

IMAGES = "cell_images/training_set"


@pytest.fixture(scope="module")
def cells(make_cells):
    return make_cells(train=24, dev=6, val=8, human=2)


@pytest.fixture(scope="module")
def reader():
    return open_reader(reader_folder("ctc"))


def test_the_least_sure_come_first_and_all_that_predict_rejects(reader, cells, tmp_path):
    files = sorted((cells / IMAGES).iterdir())
    (tmp_path / files[0].name).write_bytes(files[3].read_bytes())  # of the same name as another
    (tmp_path / "broken.png").write_bytes(b"none")
    files += [tmp_path / files[0].name, tmp_path / "broken.png"]
    rows = list(predict(reader, files[:-1]))
    broken = []
    every = rejected(reader, files, None, broken)
    assert len(broken) == 1
    assert "broken.png" in broken[0]
    sure = sorted(float(row.confidence) for row in rows)
    readings = {(row.value, f"{float(row.confidence):.1%}") for row in rows}
    assert {(one.value, one.why.split(" with ")[1]) for one in every} == readings
    assert {one.image for one in every} == set(files[:-1])
    lowest = sure[5]
    some = rejected(reader, files[:-1], lowest, broken)
    assert some == every[: sum(value < lowest for value in sure)]
    assert [float(one.why.split(" with ")[1].rstrip("%")) for one in some] == pytest.approx(
        [100 * value for value in sure[: len(some)]], abs=0.051
    )


def test_labels_that_are_not_what_was_read_are_asked_about(cells, tmp_path):
    files = sorted((cells / IMAGES).iterdir())[:3]
    rows = {row.filename: row for row in read_cells(cells, "0123456789.-").rows if row.label}
    labels = [rows[file.name].label for file in files]
    table = pd.DataFrame(
        {
            "part": [rows[file.name].part for file in files],
            "filename": [file.name for file in files],
            "label": labels,
            "reading": ["-", labels[1], ""],
            "doubt": [9.0, 2.0, 1.0],
            "image": [sha256(file.read_bytes()).hexdigest() for file in files],
        }
    )
    with pytest.raises(UserError, match=f"make suspects DATA={cells} OUT={tmp_path}$"):
        doubted(cells, tmp_path)
    folder = tmp_path / "suspects" / cells.name
    folder.mkdir(parents=True)
    (folder / "suspects.csv").write_text(as_csv(table))
    found = doubted(cells, tmp_path)
    assert [(one.image, one.value) for one in found] == [
        (files[0], labels[0]),
        (files[2], labels[2]),
    ]
    assert [one.why.split(", ")[1] for one in found] == ["read was -", "read was nothing"]
    # Another folder of this name, with other images under the same names.
    table["image"] = table["image"].to_numpy()[::-1]
    (folder / "suspects.csv").write_text(as_csv(table))
    with pytest.raises(UserError, match="is of other images than"):
        doubted(cells, tmp_path)
    table.loc[0, "filename"] = "gone.jpg"
    (folder / "suspects.csv").write_text(as_csv(table))
    with pytest.raises(UserError, match=r"gone\.jpg is not in"):
        doubted(cells, tmp_path)
