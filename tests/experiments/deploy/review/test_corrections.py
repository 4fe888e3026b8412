"""A simulated person's review: who is asked, what is saved, and how it is counted."""

import pandas as pd
import pytest

from experiments.data.cells import read_cells
from experiments.deploy.reading.predict import open_reader, predict
from experiments.deploy.review import corrections
from experiments.deploy.review.corrections import CHOICES, drawn, measure, read_pool, reviewed
from experiments.readers import reader_folder
from experiments.settings.presets import load_preset

CHARSET = "0123456789.-"


@pytest.fixture(scope="module")
def cells(make_cells):
    return make_cells(train=30, dev=9, val=8, human=0, human_leaked=0)


@pytest.fixture(scope="module")
def config():
    """A run of the preset, barely trained."""
    first = next(one for one in load_preset("fine_tuning").expand() if one.start)
    return first.model_copy(update={"train_images": 8, "epochs": 1, "batch_size": 4})


@pytest.fixture(scope="module")
def pool(cells, config, tmp_path_factory):
    return read_pool(config, "ctc", cells, tmp_path_factory.mktemp("out"))


def labels(folder, part):
    return {
        row.path.name: row.label for row in read_cells(folder, CHARSET).rows if row.part == part
    }


def contents(folder, part):
    rows = read_cells(folder, CHARSET).rows
    return {row.filename: row.path.read_bytes() for row in rows if row.part == part}


def test_the_person_is_shown_the_least_sure_or_the_images_of_the_preset(cells, config, pool):
    train = labels(cells, "train")
    folder = cells / "cell_images/training_set"
    rows = predict(open_reader(reader_folder("ctc")), [folder / name for name in train])
    sure = {row.filename: float(row.confidence) for row in rows}
    least = {one.image.name for one in CHOICES["the least sure"](pool, config)}
    assert least == set(sorted(train, key=sure.__getitem__)[:8])
    random = {one.image.name for one in CHOICES["at random"](pool, config)}
    assert len(random) == 8
    assert random != least
    more = config.model_copy(update={"train_images": 16})
    assert random < {one.image.name for one in CHOICES["at random"](pool, more)}
    assert {one.image.name for one in pool.asked} == train.keys()


def test_corrected_is_what_had_been_misread(cells, pool):
    train = labels(cells, "train")
    wrong = [one for one in pool.asked if one.value != train[one.image.name]]
    assert 0 < len(wrong) < len(train)
    assert pool.misread(pool.asked) == len(wrong)
    assert pool.misread(wrong[:3]) == 3
    assert pool.misread(one for one in pool.asked if one not in wrong) == 0


def test_what_is_learnt_from_are_the_answers_and_the_judges_stay(cells, config, pool, tmp_path):
    shown = CHOICES["the least sure"](pool, config)
    made = reviewed(pool, shown, CHARSET, tmp_path / "in" / "made")
    names = {one.image.name for one in shown}
    train = {name: label for name, label in labels(cells, "train").items() if name in names}
    assert labels(made, "train") == train
    assert labels(tmp_path / "in/made-review", "labelled") == train
    for part in ("val", "dev"):
        assert labels(made, part) == labels(cells, part)
        assert contents(made, part) == contents(cells, part)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert reviewed(pool, shown, CHARSET, made) == made
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_the_gain_is_over_the_reader_and_the_lead_over_as_many_at_random(
    config, cells, monkeypatch, tmp_path
):
    # The nine test images, before and after.
    was = [True, True, False, False, False, False, True, True, True]
    after = {"at-random": [*was[:2], True, *was[3:]], "the-least-sure": [False, *[True] * 8]}

    def right_after(_config, data, _pool, _out):
        return after[data.name.removeprefix("ctc-8-")]

    def pool_of(*given):
        return read_pool(*given)._replace(right=was)

    monkeypatch.setattr(corrections, "right_after", right_after)
    monkeypatch.setattr(corrections, "read_pool", pool_of)
    from_nothing = config.model_copy(update={"start": ""})
    table = measure([from_nothing, config], cells, tmp_path)
    random, least = table.to_dict("records")
    assert [row["choice"] for row in (random, least)] == list(CHOICES)
    assert [(row["right"], row["of"], row["right_before"]) for row in (random, least)] == [
        (6, 9, 5),
        (8, 9, 5),
    ]
    assert (random["gained"], random["ahead"]) == pytest.approx((1 / 9, 0), abs=1e-5)
    assert (least["gained"], least["ahead"]) == pytest.approx((3 / 9, 2 / 9), abs=1e-5)
    assert least["gained_low"] < 3 / 9 < least["gained_high"]
    assert random["corrected"] <= least["corrected"] <= 8


def test_the_figure_shows_the_table():
    rows = [
        (reader, choice, images, images // part, gained, gained - 0.02, gained + 0.03)
        for reader in ("ctc", "ce_stop")
        for choice, part, gained in (
            ("at random", 4, 0.05 if reader == "ctc" else 0.06),
            ("the least sure", 2, 0.08),
        )
        for images in (50, 200)
    ]
    ends = ["gained", "gained_low", "gained_high"]
    table = pd.DataFrame(rows, columns=["reader", "choice", "images", "corrected", *ends])
    figure = drawn(table)
    assert [axis.get_title() for axis in figure.axes] == ["ctc", "ce_stop"]
    for axis in figure.axes:
        assert [line.get_label() for line in axis.containers] == list(CHOICES)
        assert [text.get_text() for text in axis.texts] == ["of 50", "of 200"] * 2
        for line in axis.containers:
            of_reader = table[table["reader"] == axis.get_title()]
            own = of_reader[of_reader["choice"] == line.get_label()]
            points, _, (bars,) = line
            assert list(points.get_xdata()) == list(own["corrected"])
            assert list(points.get_ydata()) == pytest.approx(list(100 * own["gained"]))
            assert bars.get_segments()[0][:, 1] == pytest.approx(
                [100 * own["gained_low"].iloc[0], 100 * own["gained_high"].iloc[0]]
            )


@pytest.mark.slow
def test_the_images_of_the_preset_give_its_own_run_again(config, cells, tmp_path):
    """The way through the review changes nothing: weights and readings are the same."""
    pool = read_pool(config, "ctc", cells, tmp_path)
    shown = CHOICES["at random"](pool, config)
    made = reviewed(pool, shown, CHARSET, tmp_path / "made")
    runs = [corrections.run(config, folder, tmp_path) for folder in (cells, made)]
    files = [tmp_path / f"artifacts/{run}/artifacts/weights.safetensors" for run in runs]
    assert runs[0] != runs[1]
    assert files[0].read_bytes() == files[1].read_bytes()
    read = [file.with_name("predictions.csv") for file in files]
    assert read[0].read_text() == read[1].read_text()
    right = corrections.right_after(config, made, pool, tmp_path)
    table = pd.read_csv(read[0], dtype=str, keep_default_na=False)
    test = table[table["split"] == "test"]
    assert sum(right) == (test["truth"] == test["reading"]).sum()
