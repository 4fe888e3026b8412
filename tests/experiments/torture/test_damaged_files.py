"""Twelve damages of every kind of file that is read back: noticed, or without any effect."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from experiments.errors import UserError, explain
from experiments.files import DamagedError, read_checked, write_checked
from experiments.records.tracker import Tracker
from experiments.training import checkpoint
from experiments.training.standing import Standing, read_standing, write_standing
from experiments.training.state import Progress


def flipped(content: bytes, at: float) -> bytes:
    changed = bytearray(content)
    changed[int(at * (len(content) - 1))] ^= 0x10
    return bytes(changed)


# What is in the place of the content; None: nothing, a path: a folder.
DAMAGES = {
    "gone": lambda _: None,
    "a folder": lambda _: Path(),
    "empty": lambda _: b"",
    "half": lambda c: c[: len(c) // 2],
    "the second half": lambda c: c[len(c) // 2 :],
    "the last byte gone": lambda c: c[:-1],
    "halves exchanged": lambda c: c[len(c) // 2 :] + c[: len(c) // 2],
    "zeros": lambda c: bytes(len(c)),
    "text": lambda _: b"this is something else\n",
    "a bit at the begin": lambda c: flipped(c, 0),
    "a bit in the middle": lambda c: flipped(c, 0.5),
    "a bit at the end": lambda c: flipped(c, 1),
}


def put(file: Path, content: bytes | Path | None) -> None:
    shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
    if isinstance(content, Path):
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)


@pytest.fixture(scope="module")
def copy(store, tmp_path_factory):
    """A copy of a store with finished runs, to be damaged and put right again."""
    return Path(shutil.copytree(store.out, tmp_path_factory.mktemp("copy") / "out"))


def counting(out: Path) -> dict[str, str] | None:
    """The hash of each run that counts; None where the store says in a line that it is damaged."""
    try:
        runs = Tracker(out, reading=True).finished_runs()
        return {run.info.run_id: run.data.tags["run_hash"] for run in runs}
    except UserError:
        return None
    except Exception as error:
        if explain(error) is None:
            raise
        return None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "weights.safetensors", "learnt.csv"),
        *("predictions.csv", "images.csv", "readers.csv"),
    ],
)
def test_files_of_a_run(store, copy, name):
    tracker = Tracker(copy, reading=True)
    for run_id in store.runs.values():
        file = copy / "artifacts" / run_id / "artifacts" / name
        run_hash, content = tracker.tags(run_id)["run_hash"], file.read_bytes()
        assert tracker.finished(run_hash) == run_id
        for damage, change in DAMAGES.items():
            put(file, change(content))
            assert tracker.finished(run_hash) is None, damage
            with pytest.raises(UserError, match=f"{run_id}: {name} is (missing|damaged)"):
                tracker.artifacts(run_id)
        put(file, content)
        assert tracker.finished(run_hash) == run_id


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_database(copy, tmp_path, damage):
    whole = counting(copy)
    assert whole
    out = Path(shutil.copytree(copy, tmp_path / "out"))
    for log in out.glob("mlflow.db-*"):
        log.unlink()
    without_log = counting(out)
    put(out / "mlflow.db", DAMAGES[damage]((out / "mlflow.db").read_bytes()))
    # Never fewer runs, as if the others had not been made.
    assert counting(out) in (without_log, None)
    # SQLite keeps no checksums: of so little it may notice nothing, and nothing may be gone.
    if damage not in ("the last byte gone", *(d for d in DAMAGES if d.startswith("a bit"))):
        assert counting(out) is None


def test_a_checkpoint(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    saved = checkpoint.Saved({"a": torch.arange(5.0), "b": torch.ones(3, 2)}, {"epoch": 3})
    checkpoint.save(file, saved, "owner")
    content = file.read_bytes()
    for damage, change in DAMAGES.items():
        put(file, change(content))
        if damage == "gone":
            assert checkpoint.load(file, "owner") is None
            continue
        with pytest.raises(UserError if damage == "a folder" else checkpoint.UnusableError):
            checkpoint.load(file, "owner")


def test_how_far_a_run_is(tmp_path):
    standing = Standing(Progress([{"val.exact_match": 0.5, "val.loss": 1.0}], 0, 1.0), done=True)
    write_standing(tmp_path, standing, "owner")
    content = (tmp_path / "progress.json").read_bytes()
    for damage, change in DAMAGES.items():
        put(tmp_path / "progress.json", change(content))
        if damage == "a folder":
            with pytest.raises(UserError, match="is a folder"):
                read_standing(tmp_path, "owner")
        else:
            assert read_standing(tmp_path, "owner") == Standing(), damage


def test_a_range_test(tmp_path):
    file = tmp_path / "range.json"
    write_checked(file, {"rates": [1e-5, 1.0], "losses": [3.0, 2.0], "low": 1e-5, "high": 1.0})
    content = file.read_bytes()
    for change in DAMAGES.values():
        put(file, change(content))
        with pytest.raises((DamagedError, FileNotFoundError, UserError)):
            read_checked(file)


@pytest.mark.slow
def test_a_run_with_damaged_files_is_made_again_with_the_same_weights(cli, store, tmp_path):
    out = tmp_path / "out"
    run = ("train", "--data", store.data, "--out", out)
    run += ("--config", store.artifacts("columns") / "config.json")
    assert cli(*run)[0] == 0
    (old,) = (folder for folder in (out / "artifacts").iterdir())
    weights = hashlib.sha256((old / "artifacts/weights.safetensors").read_bytes()).digest()
    (old / "artifacts/predictions.csv").write_text("nothing")
    code, said, warned = cli(*run)
    assert code == 0
    assert "predictions.csv is damaged; it is made again" in " ".join((said + warned).split())
    new = out / "artifacts" / said.split()[-1]
    assert new != old
    assert hashlib.sha256((new / "artifacts/weights.safetensors").read_bytes()).digest() == weights
    tags = Tracker(out, reading=True).tags(old.name)
    assert tags["replaced_by"] == new.name
    assert json.loads(tags["digests"])
