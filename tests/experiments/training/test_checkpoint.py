"""A checkpoint proves that it is whole and its run's own; any other begins the run anew, aloud."""

import json
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from experiments.data.splits import learning_split
from experiments.settings.config import run_config
from experiments.training import checkpoint
from experiments.training.checkpoint import Saved, UnusableError
from experiments.training.loop import fit
from experiments.training.run import load_data

SAVED = Saved(
    {
        "model.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "model.count": torch.tensor(7),
        "best.half": torch.ones(3, dtype=torch.bfloat16),
        "best.empty": torch.zeros(0),
    },
    {"progress": {"history": [{"val.loss": 0.1}], "best": 0}, "threads": 1},
)


def same(found, expected=SAVED):
    return (
        found.state == expected.state
        and found.tensors.keys() == expected.tensors.keys()
        and all(torch.equal(found.tensors[name], tensor) for name, tensor in SAVED.tensors.items())
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    file = tmp_path_factory.mktemp("checkpoint") / "one.safetensors"
    checkpoint.save(file, SAVED, "owner")
    return file


def test_what_was_saved_comes_back(written, tmp_path):
    assert same(checkpoint.load(written, "owner"))
    assert checkpoint.load(tmp_path / "none", "owner") is None


def test_another_runs_is_refused_by_name(written):
    with pytest.raises(UnusableError, match="belongs to the run owner"):
        checkpoint.load(written, "another")


@settings(max_examples=300)
@given(data=st.data())
def test_no_bit_can_be_flipped_unnoticed(written, tmp_path_factory, data):
    content = bytearray(written.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    file = tmp_path_factory.mktemp("flipped") / "one.safetensors"
    file.write_bytes(content)
    try:
        found = checkpoint.load(file, "owner")
    except UnusableError:
        return
    # A blank of the header may become another one.
    assert same(found)


@settings(max_examples=60)
@given(part=st.floats(0, 1, exclude_max=True), filled=st.booleans())
def test_a_part_of_a_file_is_no_checkpoint(written, tmp_path_factory, part, filled):
    content = written.read_bytes()
    kept = content[: int(part * len(content))]
    file = tmp_path_factory.mktemp("cut") / "one.safetensors"
    file.write_bytes(kept.ljust(len(content) * filled, b"\0"))
    with pytest.raises(UnusableError):
        checkpoint.load(file, "owner")


# --- in a run


@pytest.fixture(scope="module")
def train(make_cells, tmp_path_factory):
    """Make a run of three epochs with this checkpoint file, to the end or until an epoch ended."""
    config = run_config(
        {"epochs": 3, "batch_size": 8, "width_stride": 8, "hidden": 16, "ema": 0.5},
        {"image.height": 16, "image.width": 40},
    )
    images = load_data(config, make_cells(train=24, val=8), tmp_path_factory.mktemp("out"))
    split = learning_split(images, config)

    def make(file, until=None, **changes):
        begun = []

        def on_batch(epoch, done, _):
            begun.append(epoch)
            if epoch == until and done == 1:
                raise InterruptedError

        own = config.model_copy(update=changes)
        try:
            fitted = fit(own, images, split, file, on_batch, lambda *_: None)
        except InterruptedError:
            return None
        return begun[0], fitted

    return make


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    """The weights of a run that was never stopped, and the checkpoint of one that was."""
    folder = tmp_path_factory.mktemp("whole")
    _, fitted = train(folder / "whole.safetensors")
    assert train(folder / "half.safetensors", until=2) is None
    return fitted.model.state_dict(), (folder / "half.safetensors").read_bytes()


def header(content):
    """The end of the header, and what it says."""
    end = 8 + struct.unpack("<Q", content[:8])[0]
    return end, json.loads(content[8:end])


def flip(content, tensor, byte=2):
    end, said = header(content)
    name = next(n for n in said if n.startswith(tensor) and n.endswith("weight"))
    changed = bytearray(content)
    changed[end + said[name]["data_offsets"][0] + byte] ^= 0x40
    return bytes(changed)


def rewritten(content, tmp_path, change, owner=None):
    """The same with its state changed and its digest put right, as by a bug of ours."""
    file = tmp_path / "rewritten.safetensors"
    file.write_bytes(content)
    _, said = header(content)
    about = said["__metadata__"]
    saved = checkpoint.load(file, about["owner"])
    change(saved)
    checkpoint.save(file, saved, owner or about["owner"])
    return file.read_bytes()


def without_digest(content, tmp_path):
    """As the suite wrote them before."""
    file = tmp_path / "old.safetensors"
    file.write_bytes(content)
    save_file(load_file(file), file, {"state": header(content)[1]["__metadata__"]["state"]})
    return file.read_bytes()


def best(number):
    return lambda saved: saved.state["progress"].update(best=number)


def drop(prefix):
    def change(saved):
        for name in [n for n in saved.tensors if n.startswith(prefix)]:
            del saved.tensors[name]

    return change


def widen(saved):
    saved.tensors["model.trunk.0.weight"] = torch.zeros(1)


DAMAGE = {
    "empty": lambda *_: b"",
    "half": lambda c, _: c[: len(c) // 2],
    "last byte gone": lambda c, _: c[:-1],
    "zeros": lambda c, _: bytes(len(c)),
    "text": lambda *_: b"not a checkpoint at all",
    "a bit of the best weights": lambda c, _: flip(c, "best."),
    "a bit of the weights": lambda c, _: flip(c, "model."),
    "a bit of the average": lambda c, _: flip(c, "average."),
    "no digest": without_digest,
    "another run's": lambda c, t: rewritten(c, t, lambda _: None, owner="0123456789abcdef"),
    "a best epoch behind the last": lambda c, t: rewritten(c, t, best(9)),
    "a best epoch before the first": lambda c, t: rewritten(c, t, best(-2)),
    "no best weights": lambda c, t: rewritten(c, t, drop("best.")),
    "no average": lambda c, t: rewritten(c, t, drop("average.")),
    "no progress": lambda c, t: rewritten(c, t, lambda saved: saved.state.pop("progress")),
    "another shape": lambda c, t: rewritten(c, t, widen),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_says_in_a_line_that_it_begins_anew_and_ends_as_if_nothing_had_been(
    train, whole, tmp_path, capsys, damage
):
    expected, half = whole
    file = tmp_path / "half.safetensors"
    file.write_bytes(DAMAGE[damage](half, tmp_path))
    capsys.readouterr()
    first, fitted = train(file)
    said = capsys.readouterr().out
    assert first == 0
    assert said.count("\n") == 1
    assert str(file) in said
    assert "begins anew" in said
    found = fitted.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_whole_one_is_gone_on_from(train, whole, tmp_path, capsys):
    expected, half = whole
    file = tmp_path / "half.safetensors"
    file.write_bytes(half)
    capsys.readouterr()
    first, fitted = train(file)
    assert (first, capsys.readouterr().out) == (2, "")
    found = fitted.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_run_goes_on_with_the_threads_that_it_began_with(train, tmp_path, capsys):
    file = tmp_path / "half.safetensors"
    train(file, until=1)
    torch.set_num_threads(2)
    try:
        first, _ = train(file)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)
    assert first == 1
    assert "goes on with 1 CPU threads, as it began" in capsys.readouterr().out
