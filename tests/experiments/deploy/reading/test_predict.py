"""New images: which are meant, what is read in them, what is rejected, what is written."""

import csv
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file, save_file

from analysis.record import DIGESTS, digest
from experiments.data.cells import read_cells
from experiments.data.find import find_images
from experiments.data.images import load_images
from experiments.deploy.model import load_model, read_images
from experiments.deploy.reading import predict as module
from experiments.deploy.reading.predict import Row, open_reader, predict, write_table
from experiments.deploy.reading.threshold import reject_threshold
from experiments.errors import UserError
from experiments.training.inference import read
from tests.command_line import one_line

ROWS = [
    Row("1.png", "12.5", "0.9", "0.990 0.980 1.000 0.950", None),
    Row("2.png", "", "0.25", "", None),
]


@pytest.fixture
def scans(tmp_path):
    """Files in folders; what is in them does not matter to finding them."""
    names = ("10.png", "9.JPG", "notes.txt", "sub/1.png", "sub/deep/2.tif", "a[1]/3.png")
    # As macOS puts it beside an image, with what it knows of it.
    for name in (*names, "._10.png"):
        file = tmp_path / "scans" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "scans/folder.png").mkdir()
    return tmp_path / "scans"


def found(scans, *paths):
    return [str(file.relative_to(scans)) for file in find_images([f"{scans}/{p}" for p in paths])]


def test_a_folder_is_the_images_right_in_it_numbers_in_order(scans):
    assert found(scans, "") == ["9.JPG", "10.png"]


def test_a_file_is_itself_whatever_its_suffix(scans):
    assert found(scans, "notes.txt", "10.png") == ["notes.txt", "10.png"]
    assert found(scans, "._10.png") == ["._10.png"]


def test_a_pattern_is_the_images_that_fit(scans):
    assert found(scans, "*") == ["9.JPG", "10.png"]
    assert found(scans, "*/[0-9].png") == ["a[1]/3.png", "sub/1.png"]
    assert found(scans, "**") == ["9.JPG", "10.png", "a[1]/3.png", "sub/1.png", "sub/deep/2.tif"]
    assert found(scans, "sub/**/*.tif") == ["sub/deep/2.tif"]
    # A name that is there is no pattern.
    assert found(scans, "a[1]") == found(scans, "a[1]/3.png") == ["a[1]/3.png"]


def test_what_is_named_twice_is_read_once_and_a_link_has_a_name_of_its_own(scans):
    assert found(scans, "sub", "sub/1.png", "**/1.png", "sub/deep/../1.png") == ["sub/1.png"]
    (scans / "sub/other.png").symlink_to(scans / "sub/1.png")
    assert found(scans, "sub") == ["sub/1.png", "sub/other.png"]
    # A folder that holds itself ends somewhere.
    (scans / "sub/round").symlink_to(scans / "sub")
    assert found(scans, "sub/**/1.png") == ["sub/1.png"]


@pytest.mark.parametrize("name", ["gone.png", "*.bmp", "sub/folder", "empty"])
def test_what_names_nothing_is_refused_by_its_name(scans, name):
    (scans / "empty").mkdir()
    with pytest.raises(UserError, match=r"correct|name a folder") as refused:
        found(scans, "10.png", name)
    assert f"{scans}/{name}" in str(refused.value)


def lines_of(text):
    return [line.split() for line in text.splitlines()]


def test_the_table_and_the_file_say_the_same(cli, store, tmp_path):
    run, output = store.runs["columns"], tmp_path / "read.csv"
    pattern = store.images / "1*.jpg"
    command = ("predict", pattern, "--run", run, "--out", store.out)
    code, table, _ = cli(*command, "--output", output)
    assert code == 0
    with output.open(newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows[0] == ["filename", "value", "confidence", "characters"]
    assert [row[0] for row in rows[1:]] == [f"{n}.jpg" for n in (1, *range(10, 20))]
    # A reading may be empty: there is no word for it in the table.
    assert lines_of(table) == [" ".join(row).split() for row in rows]
    for row in rows[1:]:
        assert len(row[3].split()) == len(row[1])
    assert len({row[2] for row in rows[1:]}) > 1
    # Without a file: the same table.
    assert cli(*command)[:2] == (0, table)
    assert sorted(tmp_path.iterdir()) == [output]


def test_the_validation_part_is_read_as_it_was_in_training(store):
    for decoder in store.runs:
        artifacts = store.artifacts(decoder)
        with (artifacts / "predictions.csv").open(newline="") as file:
            logged = [row for row in csv.DictReader(file) if row["split"] == "val"]
        files = [store.images / row["filename"] for row in logged]
        for row, was in zip(predict(open_reader(artifacts), files), logged, strict=True):
            assert (row.filename, row.value) == (was["filename"], was["reading"])
            assert float(row.confidence) == pytest.approx(float(was["confidence"]), rel=1e-4)


def test_images_are_decoded_a_batch_at_a_time(store, monkeypatch):
    files = sorted(store.images.iterdir())[:10]
    artifacts = store.artifacts("columns")
    at_once = list(predict(open_reader(artifacts), files))
    decoded = []

    def note(source, *size):
        decoded.append(source)
        return decode(source, *size)

    decode = module.decode
    monkeypatch.setattr(module, "decode", note)
    monkeypatch.setattr(module, "BATCH", 4)
    rows = predict(open_reader(artifacts), files)
    counts = []
    for row, same in zip(rows, at_once, strict=True):
        assert (row.filename, row.value) == (same.filename, same.value)
        assert float(row.confidence) == pytest.approx(float(same.confidence), rel=1e-4)
        counts.append(len(decoded))
    assert counts == [4] * 4 + [8] * 4 + [10] * 2


def test_new_images_are_brought_to_the_size_and_pad_of_the_run(store):
    trained = load_model(store.artifacts("columns"))
    cells = read_cells(store.data, "0123456789.-")
    files = [row.path for row in cells.rows]
    found = list(read_images(trained, files))
    by_pad = {
        pad: read(trained.model, trained.objective, load_images(cells, 32, 80, 1, pad=pad).pixels)
        for pad in (9, 0)
    }
    assert found == by_pad[9]
    assert found != by_pad[0]


def test_files_and_what_is_in_them_are_read_alike(store):
    trained = load_model(store.artifacts("latent_lstm"))
    files = sorted(store.images.iterdir())[:5]
    contents = [file.read_bytes() for file in files]
    assert list(read_images(trained, files)) == list(read_images(trained, contents))
    assert list(read_images(trained, [])) == []


def test_two_files_of_one_name_are_told_by_their_paths(cli, store):
    other = store.data / "cell_images/validation_set"
    paths = (store.images / "1.jpg", other / "1.jpg")
    command = ("predict", *paths, "--run", store.runs["columns"], "--out", store.out)
    code, table, _ = cli(*command)
    assert (code, [line[0] for line in lines_of(table)[1:]]) == (0, [str(path) for path in paths])


def test_a_broken_image_is_named_and_the_rest_is_read(cli, store, tmp_path):
    command = ("--run", store.runs["columns"], "--out", store.out, "--output")
    whole = tmp_path / "whole.csv"
    assert cli("predict", store.images, *command, whole)[0] == 0
    broken = tmp_path / "a broken\x1b[31m.png"
    broken.write_text("no image")
    (tmp_path / "._1.png").write_text("a hidden file of another system")
    read = tmp_path / "read.csv"
    code, _, err = cli("predict", tmp_path, store.images, *command, read)
    assert code == 1
    (said,) = [line for line in err.splitlines() if line.startswith("not read: ")]
    assert "broken\\x1b[31m.png" in said
    assert "replace or remove" in said
    assert read.read_text() == whole.read_text()
    # And where nothing is left, that is said as well.
    code, _, err = cli("predict", broken, *command, tmp_path / "nothing.csv")
    assert (code, "0 readings" in err) == (1, True)


def test_no_cell_of_the_file_is_a_formula(tmp_path):
    names = ["=HYPERLINK(1).png", "+1.png", "-1.png", "@a.png", "1.png"]
    values = ["=1+1", "+5", "-5", "-5-3", "@"]
    rows = [Row(name, value, "0.5", "", None) for name, value in zip(names, values, strict=True)]
    write_table(rows, names, judged=False, output=tmp_path / "read.csv")
    with (tmp_path / "read.csv").open(newline="") as file:
        read = list(csv.reader(file, delimiter=";"))[1:]
    assert [row[0] for row in read] == [*(f"./{name}" for name in names[:4]), "1.png"]
    # Numbers are what they are.
    assert [row[1] for row in read] == ["'=1+1", "+5", "-5", "'-5-3", "'@"]


def test_what_is_wrong_is_said_in_a_line(cli, store, tmp_path):
    images, here = store.images, ("--out", store.out)
    champion = ("--run", "champion")
    one_line(cli("predict", images, *champion, *here), store.out, "champion", "register")
    one_line(cli("predict", images, "--run", "nope", *here), "nope", "no finished run")
    one_line(cli("predict", images, "--run", "nope", "--out", tmp_path), tmp_path, "make ablation")
    run = ("--run", store.runs["columns"], *here)
    one_line(cli("predict", tmp_path / "*.png", *run), tmp_path / "*.png")
    one_line(cli("predict", images, *run, "--output", tmp_path / "no/x.csv"), tmp_path / "no")
    assert cli("predict", images, *run, "--accuracy", "98")[0] == 2
    assert list(tmp_path.iterdir()) == []


def written(rows, output, judged=False):
    write_table(rows, [row.filename for row in rows], judged, output)


def test_nothing_of_the_users_is_touched(tmp_path):
    # What this file, and files on their way to it, may be called.
    kept = [tmp_path / name for name in (".read.csv.making", "read.csv.making", "read.csv")]
    for file in kept:
        file.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        written(ROWS, tmp_path / "read.csv")
    written(ROWS, tmp_path / "other.csv")
    assert [file.read_text() for file in kept] == ["mine"] * 3
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "other.csv"])


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    def no_links(*_):
        raise PermissionError("no links on this disk")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    output = tmp_path / "read.csv"

    def rows():
        yield ROWS[0]
        output.write_text("mine")
        yield ROWS[1]

    with pytest.raises(UserError, match="exists already"):
        write_table(rows(), ["1.png", "2.png"], False, output)
    assert (output.read_text(), list(tmp_path.iterdir())) == ("mine", [output])
    output.unlink()
    written(ROWS, output)
    assert output.read_text() == (
        "filename;value;confidence;characters\n"
        "1.png;12.5;0.9;0.990 0.980 1.000 0.950\n2.png;;0.25;\n"
    )
    assert list(tmp_path.iterdir()) == [output]


def test_a_file_is_there_when_it_is_whole(tmp_path):
    output = tmp_path / "read.csv"

    def rows():
        yield ROWS[0]
        assert not output.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(rows(), ["1.png"], False, output)
    assert list(tmp_path.iterdir()) == []


# A lone carriage return is what Python's csv does not quote, before 3.13.
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))))
def test_any_name_survives_the_file(tmp_path_factory, names):
    output = tmp_path_factory.mktemp("csv") / "read.csv"
    written([Row(name, "1", "0.5", "0.5", False) for name in names], output, judged=True)
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows[0] == ["filename", "value", "confidence", "characters", "rejected"]
    # A name that would be a formula is a path, which names the same file.
    shown = [f"./{name}" if name.startswith(tuple("=+-@\t\r")) else name for name in names]
    assert rows[1:] == [[name, "1", "0.5", "0.5", "0"] for name in shown]


def test_a_name_of_odd_bytes_is_printed_on_one_line(capsys, tmp_path):
    odd = os.fsdecode(b"a\xffb\x1b[31m\n.png")
    written([Row(odd, "1", "0.5", "", None)], tmp_path / "read.csv")
    assert capsys.readouterr().out.splitlines()[1:] == [r"a\udcffb\x1b[31m\n.png  1           0.5"]
    assert odd.encode(errors="surrogateescape") in (tmp_path / "read.csv").read_bytes()


@pytest.fixture
def told(store):
    """Put other predictions into the run's record, for as long as a test takes."""
    folder = store.artifacts("columns")
    before = {name: (folder / name).read_text() for name in ("predictions.csv", "images.csv")}
    client = MlflowClient(f"sqlite:///{store.out / 'mlflow.db'}")

    def write(texts):
        for name, text in texts.items():
            (folder / name).write_text(text)
        # As whole as the ones before.
        run = store.runs["columns"]
        recorded = json.loads(client.get_run(run).data.tags[DIGESTS])
        recorded |= {name: digest(folder / name) for name in texts}
        client.set_tag(run, DIGESTS, json.dumps(recorded))

    def write_rows(rows):
        read = ["split,filename,truth,reading,confidence,label_loss"]
        read += [f"{','.join(map(str, row))},0.1" for row in rows]
        images = ["split,filename,group,clean,part,changed"]
        images += [f"{row[0]},{row[1]},{n},1,train,0" for n, row in enumerate(rows)]
        write({"predictions.csv": "\n".join(read) + "\n", "images.csv": "\n".join(images) + "\n"})

    yield write_rows
    write(before)


# 100 sure and right, 100 less sure, of which 10 wrong; as numbers none would be wrong.
VAL = [
    *[("val", f"{n}.jpg", "10", "10", 0.9) for n in range(100)],
    *[("val", f"{n}.jpg", "1", "1.0" if n < 110 else "1", 0.8) for n in range(100, 200)],
]
# Of these nothing may be learnt.
OTHERS = [("test", "5.jpg", "5", "6", 0.99), ("human", "6.jpg", "", "8", 0.95)]


def test_the_threshold_is_that_of_the_validation_part(store, told):
    told(OTHERS + VAL)
    # 0.95 ** 100 is 0.006: a hundred right ones in a row prove 95%; that all 200 are right in 95%
    # of cases, as they are here, proves 95% of no others.
    found = reject_threshold(store.artifacts("columns"), 0.95)
    kept = found.kept
    assert (kept.confidence, kept.kept, kept.right, kept.of) == (0.9, 100, 100, 200)
    assert (found.unproved.confidence, found.unproved.kept) == (0.8, 200)
    assert reject_threshold(store.artifacts("columns"), 0.9).kept.confidence == 0.8


def test_rejected_readings_are_marked(cli, store, told, tmp_path):
    artifacts, output = store.artifacts("columns"), tmp_path / "read.csv"
    files = sorted(store.images.iterdir())
    sure = sorted(float(row.confidence) for row in predict(open_reader(artifacts), files))
    told(
        [("val", f"{n}.jpg", "1", "1", sure[20]) for n in range(300)]
        + [("val", f"{n}.jpg", "1", "2", sure[19]) for n in range(300, 400)]
    )
    command = ("predict", *files, "--run", store.runs["columns"], "--out", store.out)
    code, table, err = cli(*command, "--accuracy", "0.98", "--output", output)
    assert code == 0
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert list(rows[0]) == ["filename", "value", "confidence", "characters", "rejected"]
    for row, line in zip(rows, lines_of(table)[1:], strict=True):
        below = float(row["confidence"]) < sure[20]
        assert row["rejected"] == str(int(below))
        assert (line[-1] == "rejected") == below
    assert sum(row["rejected"] == "1" for row in rows) == 20
    # What it rests on, and costs: as it is here 98% of 306 would be right, but they are tied.
    assert f"confidence of {sure[20]:.6g}" in err
    assert "keeps 300 of 400 readings (75.0%), 300 of them right (100.0%); it holds" in err
    assert "without that certainty 75.0% would be kept" in err


def test_an_accuracy_out_of_reach_is_refused_with_the_best(cli, store, told):
    told([("val", "1.jpg", "1", "1", 0.5), ("val", "2.jpg", "1", "2", 0.5), *OTHERS])
    command = ("predict", store.images, "--run", store.runs["columns"], "--out", store.out)
    one_line(cli(*command, "--accuracy", "0.98"), "0.98", "best on validation is 0.5", "of 2")


def test_weights_that_are_no_numbers_are_refused(store, tmp_path):
    artifacts = store.artifacts("columns")
    (tmp_path / "config.json").write_bytes((artifacts / "config.json").read_bytes())
    weights = load_file(artifacts / "weights.safetensors")
    # One number of one tensor is enough.
    next(tensor for tensor in weights.values() if tensor.dim() > 1)[0] = float("nan")
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="not all of it are numbers; train the run again"):
        load_model(tmp_path)


def test_weights_that_do_not_fit_are_refused(store, tmp_path):
    artifacts = store.artifacts("columns")
    (tmp_path / "config.json").write_bytes((artifacts / "config.json").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="train the run again"):
        load_model(tmp_path)
