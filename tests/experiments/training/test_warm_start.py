"""What is taken from another run's weights, and when they are refused."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments import readers
from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.data.splits import make_split
from experiments.errors import UserError
from experiments.readers import reader_folder, reader_names
from experiments.settings.config import run_config
from experiments.training.build import build
from experiments.training.learnt import Learnt, learnt_by, read_learnt, write_learnt
from experiments.training.loop import fit
from experiments.training.warm_start import finished_start, start_of, take_weights


def model_of(**settings):
    return build(run_config({"width_stride": 8, "hidden": 16} | settings, {}))[0]


def test_what_fits_is_taken_and_all_else_stays():
    other = model_of(loss="ce_stop", decoder="pooled", seed=1).state_dict()
    model = model_of(loss="ctc")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    taken = take_weights(model, {name: tensor.clone() for name, tensor in other.items()})
    trunk = [name for name in before if name.startswith("trunk.")]
    assert taken == len(trunk)  # the heads have other shapes
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other[name] if name in trunk else before[name]), name


def test_a_whole_model_is_taken_whole():
    other, model = model_of(loss="ctc", seed=1), model_of(loss="ctc")
    assert take_weights(model, other.state_dict()) == len(other.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_a_trunk_of_which_nothing_fits_is_refused():
    with pytest.raises(UserError, match="same backbone") as caught:
        take_weights(model_of(), model_of(backbone="mobilenet_v3_small").state_dict())
    assert "\n" not in str(caught.value)


class NoRuns:
    """A store in which nothing is asked for."""

    out = "nowhere"


@pytest.mark.parametrize("name", reader_names())
def test_a_reader_of_the_suite_is_a_start_and_its_weights_are_part_of_the_runs_identity(
    name, cells, tmp_path, monkeypatch
):
    own = json.loads((reader_folder(name) / "config.json").read_text())
    config = run_config(own, {"start": name})
    digest = hashlib.sha256((reader_folder(name) / "weights.safetensors").read_bytes()).hexdigest()
    assert config.start == f"{name}-{digest[:16]}"
    assert run_config(json.loads(config.model_dump_json()), {}) == config
    start = start_of(config, cells, make_split(cells, config), NoRuns())
    model = build(config)[0]
    assert take_weights(model, start.weights) == len(model.state_dict())
    half = load_file(reader_folder(name) / "weights.safetensors")
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, half[key].to(tensor.dtype))
    # With other weights under that name it is another run, and the old one cannot begin.
    changed = shutil.copytree(reader_folder(name), tmp_path / name)
    with (changed / "weights.safetensors").open("ab") as file:
        file.write(b" ")
    monkeypatch.setattr(readers, "FOLDER", tmp_path)
    assert run_config(own, {"start": name}).run_hash("data") != config.run_hash("data")
    with pytest.raises(UserError, match=f"set start={name}$"):
        finished_start(config, NoRuns())


def test_a_reader_is_no_start_for_a_run_that_is_judged_by_what_it_learnt(
    cells, tmp_path, monkeypatch
):
    shutil.copytree(reader_folder("ctc"), tmp_path / "ctc")
    monkeypatch.setattr(readers, "FOLDER", tmp_path)
    config = run_config({"start": "ctc"}, {})
    own = make_split(cells, config)
    assert start_of(config, cells, own, NoRuns()).seen == read_learnt(tmp_path / "ctc")
    # As after a review of images that it knows: another data set, and the same pixels.
    write_learnt(tmp_path / "ctc", learnt_by(cells, make_split(cells, run_config({"seed": 1}, {}))))
    with pytest.raises(UserError, match=r"learnt from \d+ validation images"):
        start_of(config, cells, own, NoRuns())


@pytest.mark.parametrize("name", reader_names())
def test_a_reader_says_what_it_has_seen(name):
    seen = read_learnt(reader_folder(name))
    card = json.loads((reader_folder(name) / "card.json").read_text())
    # Identical images are one.
    for known, images in (
        (seen.trained, card["trained_on"]),
        (seen.selected, card["right_of"]["val"][1]),
    ):
        assert 0.85 * images < len(known) <= images


class OneRun:
    """A tracker that knows one finished run."""

    def __init__(self, out, **tags):
        self.out, self._tags = out, tags

    def finished(self, run_hash):
        return "id" if run_hash == "0123456789abcdef" else None

    def artifacts(self, run_id):
        return self.out if run_id == "id" else None

    def tags(self, run_id):
        assert run_id == "id"
        return self._tags


@pytest.fixture
def cells(make_cells):
    folder = make_cells(train=20, dev=4, human=0, duplicates=0, leaked=0, human_leaked=0)
    return load_images(read_cells(folder, "0123456789.-"), 16, 32, 1)


WEIGHTS = {"trunk.w": torch.ones(2, 2)}


@pytest.fixture
def artifacts(tmp_path):
    save_file(WEIGHTS, tmp_path / "weights.safetensors")
    return tmp_path


CONFIG = run_config({"start": "0123456789abcdef"}, {})


def test_weights_come_with_what_they_have_seen(cells, artifacts):
    split = make_split(cells, CONFIG)
    seen = Learnt(frozenset({"a" * 64}), frozenset({"b" * 64})) | learnt_by(cells, split)
    write_learnt(artifacts, seen)
    start = start_of(CONFIG, cells, split, OneRun(artifacts))
    assert torch.equal(start.weights["trunk.w"], WEIGHTS["trunk.w"])
    assert start.seen == seen
    (artifacts / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="train that run again"):
        start_of(CONFIG, cells, split, OneRun(artifacts))


def test_weights_that_have_seen_a_judge_are_refused_whatever_their_data_set_is(cells, artifacts):
    split, other = (make_split(cells, run_config({"seed": seed}, {})) for seed in (0, 1))
    write_learnt(artifacts, learnt_by(cells, other))
    shared = len(set(other.train) & set(split.val))
    assert shared > 0
    for digest in (cells.digest, "another"):
        with pytest.raises(UserError, match=f"learnt from {shared} validation images") as caught:
            start_of(CONFIG, cells, split, OneRun(artifacts, data_digest=digest))
        assert "\n" not in str(caught.value)


def test_an_older_run_is_judged_by_its_data_set_and_split(cells, artifacts, capsys):
    split, other = (make_split(cells, run_config({"seed": seed}, {})) for seed in (0, 1))

    def start(of, data=cells.digest):
        tags = {"data_digest": data, "split_digest": of.digest(cells)}
        found = start_of(CONFIG, cells, split, OneRun(artifacts, **tags))
        assert "has no learnt.csv" in capsys.readouterr().out
        assert found.seen is None
        return found.weights["trunk.w"]

    assert torch.equal(start(split), WEIGHTS["trunk.w"])
    assert torch.equal(start(other, data="others"), WEIGHTS["trunk.w"])
    with pytest.raises(UserError, match="another split of the same data"):
        start(other)


def test_a_start_that_has_not_finished_is_named(cells, tmp_path):
    config = run_config({"start": "fedcba9876543210"}, {})
    split = make_split(cells, config)
    with pytest.raises(UserError, match="no finished run 'fedcba9876543210'"):
        start_of(config, cells, split, OneRun(tmp_path))
    without = start_of(run_config({}, {}), cells, split, OneRun(tmp_path))
    assert without == ({}, Learnt())


@pytest.mark.parametrize("start", ["a'b", "' or ''='", "0123456789ABCDEF", "0123456789abcdef'"])
def test_a_start_that_is_no_hash_becomes_no_query(start, tmp_path):
    class Untouched:
        out = tmp_path  # and nothing that could be asked

    with pytest.raises(UserError, match="start: no finished run"):
        finished_start(run_config({"start": start}, {}), Untouched())


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint_not_from_its_start(cells, tmp_path):
    small = {"image": {"height": 16, "width": 32}, "width_stride": 4, "batch_size": 8, "hidden": 8}
    config = run_config(small | {"epochs": 2, "loss_options": {"allow_infeasible": True}}, {})
    split = make_split(cells, config)
    start = build(config.model_copy(update={"seed": 9}))[0].state_dict()

    def weights(name, start, on_batch=lambda *_: None):
        fitted = fit(config, cells, split, tmp_path / name, on_batch, lambda *_: None, start)
        return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])

    def stop_in_the_second_epoch(epoch, *_):
        if epoch == 1:
            raise KeyboardInterrupt

    whole = weights("whole", start)
    with pytest.raises(KeyboardInterrupt):
        weights("stopped", start, stop_in_the_second_epoch)
    assert torch.equal(weights("stopped", start), whole)
    # And it does start from there.
    assert not torch.equal(weights("fresh", None), whole)
