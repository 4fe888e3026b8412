"""The files of a run as tables: texts stay texts, and what does not fit together is refused."""

import json

import pytest

from analysis.tables.artifacts import (
    images_in,
    members_of,
    predictions_of,
    readers_of,
    settings_of,
)

IMAGES = "split,filename,group,clean,part,changed\nval,1.jpg,7,0,train,1\ntest,2.jpg,8,1,dev,0\n"
READ = (
    "split,filename,truth,reading,confidence,label_loss\n"
    "val,1.jpg,007,007,0.5,\ntest,2.jpg,1.0,,0.25,2\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images.csv").write_text(IMAGES)
    (tmp_path / "predictions.csv").write_text(READ)
    return tmp_path


def test_predictions_keep_their_texts_and_know_their_images(folder):
    table = predictions_of(folder, images_in)
    assert list(table["truth"]) == ["007", "1.0"]
    assert list(table["reading"]) == ["007", ""]
    assert list(table["confidence"]) == [0.5, 0.25]
    assert list(table["label_loss"].isna()) == [True, False]
    assert list(table["group"]) == [7, 8]
    assert list(table["clean"]) == [False, True]
    assert list(table["changed"]) == [True, False]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES[: IMAGES.index("test")],
        IMAGES.replace("2.jpg", "3.jpg"),
        IMAGES.replace("test", "val"),
    ],
)
def test_predictions_of_other_images_are_refused(folder, images):
    (folder / "images.csv").write_text(images)
    with pytest.raises(ValueError, match="of different images"):
        predictions_of(folder, images_in)


def test_a_record_of_an_older_recipe_says_less_of_its_images():
    table = images_in(b"split,filename,group,clean\nval,1.jpg,7,1\n")
    assert table.to_dict("records") == [
        {
            "split": "val",
            "filename": "1.jpg",
            "group": 7,
            "clean": True,
            "part": "",
            "changed": False,
        }
    ]


def test_settings_are_completed_and_have_dotted_keys(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"seed": 3, "image": {"pad": None}}))
    found = settings_of(tmp_path, lambda written: written | {"loss": "ctc"})
    assert found == {"seed": "3", "image.pad": "null", "loss": "ctc"}


def test_members_are_a_list(tmp_path):
    (tmp_path / "members.json").write_text('{"members": [{"run_id": "a"}]}')
    assert members_of(tmp_path) == [{"run_id": "a"}]
    (tmp_path / "members.json").write_text('{"members": "a"}')
    with pytest.raises(ValueError, match="not a list"):
        members_of(tmp_path)


def test_readers_that_cannot_be_read_are_none(tmp_path):
    assert readers_of(tmp_path) is None
    (tmp_path / "readers.csv").write_text("reader,filename\nhuman1,1.jpg\n")
    assert readers_of(tmp_path) is None
    (tmp_path / "readers.csv").write_text("reader,filename,reading\nhuman1,1.jpg,00\n")
    assert readers_of(tmp_path).to_numpy().tolist() == [["human1", "1.jpg", "00"]]
