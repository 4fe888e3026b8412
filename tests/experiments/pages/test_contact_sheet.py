"""The picture of the augmentations: of training cells alone, and the same for the same seed."""

import numpy as np
import pytest
from PIL import Image

from experiments.data.augmentation import AUGMENTATIONS
from experiments.pages import contact_sheet
from experiments.pages.contact_sheet import CELLS, write_augmentations
from experiments.settings.config import run_config


@pytest.fixture(scope="module")
def data(make_cells):
    return make_cells(train=20, val=3, dev=5)


def test_it_shows_cells_of_the_training_list_alone(data, tmp_path, monkeypatch):
    seen = []

    def spy(cells, *size, **pad):
        seen.append(cells.rows)
        return load(cells, *size, **pad)

    load = contact_sheet.load_images
    monkeypatch.setattr(contact_sheet, "load_images", spy)
    write_augmentations(run_config({}, {}), data, tmp_path / "one.png")
    assert {row.part for row in seen[0]} == {"train"}
    assert len({row.filename for row in seen[0]}) == CELLS


def test_the_seed_and_the_strengths_decide_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "CELLS", 2)

    def content(name, **settings):
        write_augmentations(run_config(settings, {}), data, tmp_path / name)
        return (tmp_path / name).read_bytes()

    first = content("one.png")
    assert content("two.png") == first
    assert content("seed.png", seed=1) != first
    assert content("strength.png", augmentation={"name": "paper", "light": 0.9}) != first
    # Written over, and nothing half-written is left beside it.
    assert content("one.png", seed=1) == content("seed.png", seed=1)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_there_is_a_column_an_augmentation_and_a_row_a_cell(make_cells, tmp_path, channels):
    few = make_cells(train=3, dev=2, duplicates=0)
    size = {"height": 40, "width": 80, "channels": channels}
    write_augmentations(run_config({"image": size}, {}), few, tmp_path / "sheets/few.png")
    picture = np.asarray(Image.open(tmp_path / "sheets/few.png").convert("L"))
    # The sheet is white, cells are grey: count the runs of grey through the middle of a cell.
    grey = picture < 250
    across = grey[:, int(0.6 * picture.shape[1]) :].mean(axis=1)
    assert runs(across > 0.5) == 3
    down = grey[int(0.2 * len(picture)) :].mean(axis=0)
    assert runs(down > 0.5) == len(AUGMENTATIONS)


def runs(flags):
    return int(np.sum(flags[1:] & ~flags[:-1]) + flags[0])
