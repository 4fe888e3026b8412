"""The cache of decoded images: used when whole, made anew when not, by one process at a time."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.data import cache, images
from experiments.data.cells import Cells, read_cells
from experiments.data.decode import Decoded
from experiments.data.images import load_images

CHARSET = "0123456789.-"
ROOT = Path(cache.__file__).parents[2]


@pytest.fixture
def folder(make_cells):
    return make_cells(train=6, dev=3, human=2)


@pytest.fixture
def decoded(monkeypatch):
    """The images that were decoded, by name."""
    true, seen = images.decode, []

    def counting(path, *size):
        seen.append(path.name)
        return true(path, *size)

    monkeypatch.setattr(images, "decode", counting)
    return seen


def load(folder, cached, height=34, width=60, channels=1):
    return load_images(read_cells(folder, CHARSET), height, width, channels, cached)


def files(folder):
    return sorted(folder.glob("*.records"))


# --- when it is used


def test_what_is_cached_is_not_decoded_again(folder, tmp_path, decoded):
    fresh = load(folder, None)
    assert len(decoded) == len(fresh.rows)
    assert not list(tmp_path.iterdir())
    decoded.clear()
    first = load(folder, tmp_path)
    assert len(decoded) == len(fresh.rows)
    decoded.clear()
    second = load(folder, tmp_path)
    assert decoded == []
    for found in (first, second):
        assert torch.equal(found.pixels, fresh.pixels)
        assert (found.rows, found.groups, found.digest) == (fresh.rows, fresh.groups, fresh.digest)


def test_labels_are_no_part_of_it(folder, tmp_path, decoded):
    load(folder, tmp_path)
    decoded.clear()
    values = folder / "cell_images/training_set_values.txt"
    values.write_text(values.read_text().replace("\n1.jpg;", "\n1.jpg;9"))
    load(folder, tmp_path)
    assert decoded == []


def test_another_place_of_the_same_images_is_no_other_data(folder, tmp_path, decoded):
    load(folder, tmp_path / "cache")
    decoded.clear()
    load(shutil.copytree(folder, tmp_path / "elsewhere"), tmp_path / "cache")
    assert decoded == []


@pytest.mark.parametrize("size", [(35, 60, 1), (34, 61, 1), (34, 60, 3), (60, 34, 1)])
def test_another_size_is_another_cache(folder, tmp_path, size):
    before = load(folder, tmp_path).pixels.clone()
    other = load(folder, tmp_path, *size)
    assert torch.equal(other.pixels, load(folder, None, *size).pixels)
    assert torch.equal(load(folder, tmp_path).pixels, before)
    assert len(files(tmp_path)) == 2


def test_another_image_is_another_cache(folder, tmp_path):
    before = load(folder, tmp_path)
    labelled = folder / "cell_images/training_set"
    shutil.copy(labelled / "2.jpg", labelled / "1.jpg")
    after = load(folder, tmp_path)
    assert torch.equal(after.pixels[0], before.pixels[1])
    assert torch.equal(after.pixels[1:], before.pixels[1:])
    assert len(files(tmp_path)) == 2


def test_another_order_of_the_same_images_is_another_cache(folder, tmp_path):
    cells = read_cells(folder, CHARSET)
    turned = Cells(cells.name, cells.folder, cells.rows[::-1], cells.readings)
    one, other = (load_images(c, 34, 60, 1, tmp_path).pixels for c in (cells, turned))
    assert torch.equal(one, other.flip(0))
    assert len(files(tmp_path)) == 2


def test_another_version_of_pillow_may_decode_otherwise(folder, tmp_path, decoded, monkeypatch):
    load(folder, tmp_path)
    decoded.clear()
    monkeypatch.setattr(cache.PIL, "__version__", "99.0")
    load(folder, tmp_path)
    assert decoded


# --- when it is not whole


def made(count, shape=(1, 3, 4)) -> tuple[list[bytes], list[Decoded]]:
    """Digests and images, drawn from their number."""
    contents = [hashlib.sha256(bytes([k])).digest() for k in range(count)]
    return contents, [
        Decoded(np.full(shape, k, dtype=np.uint8), content[::-1], content)
        for k, content in enumerate(contents)
    ]


@pytest.mark.slow
def test_no_byte_of_it_can_change_unseen(tmp_path):
    contents, wanted = made(2)
    asked = []

    def again():
        asked.append(True)
        return wanted

    def pixels():
        table = cache.table(tmp_path, contents, (1, 3, 4), again)
        return table["pixels"].tolist(), [row["identity"].tobytes() for row in table]

    fresh = pixels()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    assert pixels() == fresh
    assert len(asked) == 1
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert pixels() == fresh
        assert len(asked) == 2, place
        assert file.read_bytes() == whole
        asked.pop()
        # The same for a file that ends here.
        file.write_bytes(whole[:place])
        assert pixels() == fresh
        assert len(asked) == 2, place
        asked.pop()


def test_what_was_half_made_is_never_taken_for_whole(tmp_path):
    contents, wanted = made(5)

    def breaking():
        yield from wanted[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.table(tmp_path, contents, (1, 3, 4), breaking)
    assert not [file for file in tmp_path.iterdir() if file.suffix != ".lock"]
    table = cache.table(tmp_path, contents, (1, 3, 4), lambda: wanted)
    assert table["pixels"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_fewer_images_than_there_should_be_are_no_cache(tmp_path):
    contents, wanted = made(5)
    with pytest.raises(ValueError, match="shorter"):
        cache.table(tmp_path, contents, (1, 3, 4), lambda: wanted[:4])
    assert not files(tmp_path)


# --- several processes

# Makes the cache of 60 images, slowly, and says how many it made and what it found.
MAKE = """
import hashlib, sys, time
from pathlib import Path
import numpy as np
from experiments.data import cache
from experiments.data.decode import Decoded

contents = [hashlib.sha256(bytes([k])).digest() for k in range(60)]
made = 0

def decoded():
    global made
    for k, content in enumerate(contents):
        time.sleep(float(sys.argv[2]))
        made += 1
        print("made", made, flush=True)
        yield Decoded(np.full((1, 3, 4), k, dtype=np.uint8), content, content)

print("ready", flush=True)
sys.stdin.readline()
table = cache.table(Path(sys.argv[1]), contents, (1, 3, 4), decoded)
print("found", made, table["pixels"][:, 0, 0, 0].tolist() == list(range(60)), flush=True)
"""


def start(folder, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(folder), str(seconds)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_at_once_make_it_once_and_both_have_it(tmp_path):
    both = [start(tmp_path, 0.01) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    last = [process.communicate(timeout=120)[0].splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(last) == ["found 0 True", "found 60 True"]
    assert len(files(tmp_path)) == 1


def test_a_process_that_is_killed_leaves_nothing_that_is_taken_for_a_cache(tmp_path):
    killed = start(tmp_path, 0.05)
    killed.stdin.write("go\n")
    killed.stdin.flush()
    while killed.stdout.readline() != "made 9\n":
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdin.close()
    killed.stdout.close()
    assert not files(tmp_path)
    # Nor is its lock still held.
    begun = time.monotonic()
    after = start(tmp_path, 0)
    assert after.communicate("go\n", timeout=120)[0].endswith("found 60 True\n")
    assert time.monotonic() - begun < 60
    assert [file.suffix for file in sorted(tmp_path.iterdir())] == [".lock", ".records"]


# --- memory


def test_pixels_are_read_from_the_file_and_writing_to_them_stays_here(folder, tmp_path):
    load(folder, tmp_path)
    found = load(folder, tmp_path)
    (file,) = files(tmp_path)
    before = file.read_bytes()
    assert str(file) in Path("/proc/self/maps").read_text()
    first = found.pixels.clone()
    found.pixels.fill_(0)
    assert file.read_bytes() == before
    assert torch.equal(load(folder, tmp_path).pixels, first)


def test_making_it_and_opening_it_hold_few_images(tmp_path):
    shape = (3, 300, 300)
    count = 100
    contents, _ = made(count)

    def decoded():
        for k, content in enumerate(contents):
            yield Decoded(np.full(shape, k, dtype=np.uint8), content, content)

    for _ in range(2):
        tracemalloc.start()
        table = cache.table(tmp_path, contents, shape, decoded)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert table["pixels"][-1, 0, 0, 0] == count - 1
        assert peak < 10 * np.prod(shape)
