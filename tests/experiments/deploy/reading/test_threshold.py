"""From which confidence on a reader's readings are kept, by its validation part."""

import pytest

from experiments.deploy.reading.threshold import reject_threshold
from experiments.errors import UserError

HEADS = {
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss",
    "images.csv": "split,filename,group,clean,part,changed",
}


def written(folder, groups):
    """A run that read all of its validation images right; groups: of which image each is."""
    folder.mkdir()
    rows = {
        "predictions.csv": [f"val,{n}.png,1,1,{1 - n / 1000:.3f},0.1" for n in range(len(groups))],
        "images.csv": [f"val,{n}.png,{group},0,train,0" for n, group in enumerate(groups)],
    }
    for name, head in HEADS.items():
        (folder / name).write_text("\n".join([head, *rows[name], "test,t.png,9,1,0,0,,,"]) + "\n")
    return folder


def test_identical_images_prove_as_much_as_one(tmp_path):
    once = reject_threshold(written(tmp_path / "once", range(200)), 0.95)
    assert once.kept.of == 200
    copies = reject_threshold(written(tmp_path / "copies", [n // 3 for n in range(600)]), 0.95)
    assert copies.kept.of == 200
    assert copies.kept.promised == once.kept.promised
    # A tenth of them would promise far less than 600 of their own.
    with pytest.raises(UserError, match="of 20 readings"):
        reject_threshold(written(tmp_path / "few", [n // 30 for n in range(600)]), 0.95)


def test_without_a_validation_image_there_is_no_threshold(tmp_path):
    with pytest.raises(UserError, match="no validation image is left") as refused:
        reject_threshold(written(tmp_path / "none", []), 0.9)
    assert "\n" not in str(refused.value)
