"""A disk that is full at ten moments of a run: one line, and the same command goes on."""

import hashlib
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from experiments.records import store as making_store
from tests.command_line import one_line


@contextmanager
def small_disk(folder):
    """A disk of its own at this folder."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def weights(out):
    (file,) = out.glob("artifacts/*/artifacts/weights.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount")
def test_full_at_ten_moments(cli, store, make_store, tmp_path, monkeypatch):
    monkeypatch.setattr(making_store, "_make", make_store)
    run = ("train", "--data", store.data, "--config", store.artifacts("columns") / "config.json")
    run += ("--set", "epochs=3")
    assert cli(*run, "--out", tmp_path / "whole")[0] == 0
    expected = weights(tmp_path / "whole")
    used = sum(f.stat().st_size for f in (tmp_path / "whole").rglob("*") if f.is_file())
    refused = 0
    for number in range(10):
        with small_disk(tmp_path / f"disk-{number}") as disk:
            out, filler = disk / "out", disk / "filler"
            room = int(used * (number + 0.5) / 10)
            free = shutil.disk_usage(disk).free
            with filler.open("wb") as file:
                for _ in range((free - room) // 65536):
                    file.write(bytes(65536))
            result = cli(*run, "--out", out)
            if result[0]:
                refused += 1
                one_line(result, "make room")
                assert not list(disk.rglob("*.making"))
            filler.unlink()
            code, _, error = cli(*run, "--out", out)
            assert code == 0, error
            assert weights(out) == expected
    assert refused >= 8
    print(f"{refused} of 10 full disks refused in a line; afterwards all weights bit-equal")
