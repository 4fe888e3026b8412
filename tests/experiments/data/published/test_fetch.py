"""Fetching the published data set: whole and as published, or not at all and one line why."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.data.cells import read_cells
from experiments.data.published.archive import Limits
from experiments.data.published.fetch import PUBLISHED, Archive, Blob, Rest, Source, Tree, fetch
from experiments.data.published.git_hash import blob_hash, tree_hashes
from experiments.errors import UserError

ROOT = Path(__file__).parents[4]
VALUES, TRAIN, DEV = (
    "cell_images/training_set_values.txt",
    "crnn_labels/train.txt",
    "crnn_labels/dev.txt",
)
IMAGES, LISTS = "repo-1.tar.gz", "repo-2.tar.gz"
NOISE = random.Random(0).randbytes(300_000)


@pytest.fixture
def cells(make_cells, tmp_path):
    """A data set to publish, which a test may change."""
    return Path(shutil.copytree(make_cells(), tmp_path / "cells"))


def archive(files, top="repo-1", more=()):
    """A gzipped tar of path -> content, with entries of other kinds behind."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            info.mode = 0o664
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info)
    return out.getvalue()


def link(name):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


def contents(folder, *below):
    """Path -> content of all files below these paths."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for path in below or [""]
        for file in sorted((folder / path).rglob("*"))
        if file.is_file()
    }


class Published:
    """The data set on the server, in two archives as in the real repository."""

    def __init__(self, web, cells):
        self.web, self.cells = web, cells
        self.images = contents(cells, "cell_images") | {"noise": NOISE}
        self.lists = contents(cells, "crnn_labels", "output") | {"README.md": b"read me"}
        web.files = {"1": archive(self.images), "2": archive(self.lists, "repo-2")}
        self.source = Source(
            archives=(Archive(web.url("1"), IMAGES), Archive(web.url("2"), LISTS)),
            parts=(
                Tree("cell_images", tree_hashes(cells / "cell_images")[1]),
                Blob(TRAIN, blob_hash((cells / TRAIN).read_bytes())),
                Rest(DEV, values=VALUES, taken=TRAIN),
                *(
                    Blob(f"output/{name}", blob_hash((cells / "output" / name).read_bytes()))
                    for name in ("human1.txt", "human2.txt", "output1.txt", "output2.txt")
                ),
            ),
            limits=Limits(members=100, file=100_000, wanted=1_000_000, stream=2_000_000),
            download_limit=1_000_000,
        )

    def asked(self):
        return [path for path, _ in self.web.requests]


@pytest.fixture
def published(web, cells):
    return Published(web, cells)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def no_sleep(seconds):
    """A retry that need not wait."""


def refused(source, out, *words):
    """Fetching fails with one line that has these words; nothing was put in place."""
    before = contents(out / "data/cells")
    with pytest.raises(UserError) as caught:
        fetch(source, out, no_sleep)
    line = str(caught.value)
    assert "\n" not in line
    assert [word for word in words if str(word) not in line] == []
    assert contents(out / "data/cells") == before
    assert not (out / "data/cells.making").exists()
    return line


def downloads(out):
    return sorted(path.name for path in (out / "data/downloads").iterdir())


# --- what is published


def test_the_published_source_is_pinned_and_asked_over_https():
    assert len(PUBLISHED.archives) == 2
    for one in PUBLISHED.archives:
        assert re.fullmatch(
            r"https://codeload\.github\.com/mochangheng/crnn-crossentropy-pytorch/tar\.gz/[0-9a-f]{40}",
            one.url,
        )
        assert one.filename == f"crnn-crossentropy-pytorch-{one.url[-40:]}.tar.gz"
    assert {part.path for part in PUBLISHED.parts} == {
        "cell_images", TRAIN, DEV,
        "output/human1.txt", "output/human2.txt", "output/output1.txt", "output/output2.txt",
    }  # fmt: skip
    digests = [part.digest for part in PUBLISHED.parts if not isinstance(part, Rest)]
    assert all(re.fullmatch("[0-9a-f]{40}", digest) for digest in digests)


# --- success


def test_the_data_set_is_fetched_whole_and_can_be_read(published, cells, out, capsys):
    folder = fetch(published.source, out, no_sleep)
    assert folder == out / "data/cells"
    assert contents(folder) == contents(cells)
    assert len(read_cells(folder, "0123456789.-").rows) == len(
        read_cells(cells, "0123456789.-").rows
    )
    assert published.asked() == ["1", "2"]
    assert downloads(out) == ["fetch.lock"]
    assert [path.name for path in (out / "data").iterdir() if path.name != "downloads"] == ["cells"]

    # Again: nothing to do, and no server needed.
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert fetch(published.source, out, no_sleep) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert len(published.web.requests) == 2
    assert capsys.readouterr().out == f"{folder}: whole, every part as it was published\n"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_git_archives_is_what_is_checked(web, cells, out, tmp_path):
    """A real repository, its hashes and archive made by git, with a link elsewhere in it."""
    repository = tmp_path / "repository"
    shutil.copytree(cells, repository)
    (repository / "env").mkdir()
    (repository / "env/python").symlink_to("/usr/bin/python3")
    (repository / "cell_images/training_set/1.jpg").chmod(0o755)

    def git(*arguments):
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_NOSYSTEM": "1"}
        who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "HOME": str(tmp_path)}
        command = ("git", "-c", "core.autocrlf=false", "-c", "core.fileMode=true", *arguments)
        environment = {"PATH": os.environ["PATH"]} | who
        return subprocess.check_output(command, cwd=repository, env=environment)

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "one")

    def digest(path):
        return git("rev-parse", f"HEAD:{path}").decode().strip()

    packed = git("archive", "--format=tar.gz", "--prefix=repo-1/", "HEAD")
    source = Source(
        archives=(Archive(web.url("1", packed), IMAGES),),
        parts=(
            Tree("cell_images", digest("cell_images")),
            Blob(TRAIN, digest(TRAIN)),
            Rest(DEV, VALUES, TRAIN),
        ),
    )
    folder = fetch(source, out, no_sleep)
    assert contents(folder) == contents(cells, "cell_images") | {
        path: (cells / path).read_bytes() for path in (TRAIN, DEV)
    }


def test_a_part_is_taken_from_the_archive_that_has_it_right(published, cells, out):
    web = published.web
    # The lists of the first archive are others, but one; the second also has other images.
    first = {"output/human1.txt": published.lists.pop("output/human1.txt"), TRAIN: b"9.jpg 1\n"}
    web.files["1"] = archive(published.images | first | {DEV: b"1.jpg\n"})
    web.files["2"] = archive(published.lists | {VALUES: b"filename;value\n"})
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)


def test_the_second_archive_is_left_alone_where_the_first_has_all(published, cells, out):
    published.web.files["1"] = archive(published.images | published.lists)
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)
    assert published.asked() == ["1"]


def test_the_rows_of_the_dev_list_count_by_their_names_alone(published, cells, out):
    names = [row.split()[0] for row in (cells / DEV).read_text().splitlines()]
    other = "".join(f"{name} 1 2 3\r\n" for name in reversed(names)).encode()
    published.web.files["2"] = archive(published.lists | {DEV: other})
    assert (fetch(published.source, out, no_sleep) / DEV).read_bytes() == other


def test_two_at_once_both_succeed_and_one_of_them_downloads(published, cells, out):
    def slowly(handler):
        time.sleep(0.5)
        handler.serve()

    published.web.script = [slowly]
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=fetch, args=(published.source, out)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert contents(out / "data/cells") == contents(cells)
    assert published.asked() == ["1", "2"]


def test_what_a_killed_process_left_is_cleared_away(published, cells, out):
    left = out / "data/cells.making/0/cell_images"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)
    assert not (out / "data/cells.making").exists()


# --- what is there already


@pytest.mark.parametrize("path", ["cell_images/training_set/3.jpg", TRAIN, "output/output2.txt"])
def test_a_damaged_data_set_is_named_and_left(published, out, path):
    folder = fetch(published.source, out, no_sleep)
    (folder / path).write_bytes(b"x")
    part = path if path.endswith(".txt") else "cell_images"
    refused(published.source, out, folder / part, "git hash", f"move {folder} elsewhere")
    (folder / path).unlink()
    refused(published.source, out, folder / part, f"move {folder} elsewhere")
    assert published.asked() == ["1", "2"]


def test_a_dev_list_with_another_name_is_named(published, out):
    folder = fetch(published.source, out, no_sleep)
    rows = (folder / DEV).read_text().splitlines()
    for changed in (rows[1:], [*rows, rows[0]], [*rows, "1.jpg 2"]):
        (folder / DEV).write_text("\n".join(changed))
        refused(published.source, out, folder / DEV, "its file names are not those of")


def test_a_link_among_the_images_is_named(published, out):
    folder = fetch(published.source, out, no_sleep)
    (folder / "cell_images/link").symlink_to("nowhere")
    refused(published.source, out, "cell_images/link is neither a file nor a folder")


def test_lists_of_the_users_own_are_no_damage(published, out):
    folder = fetch(published.source, out, no_sleep)
    (folder / "crnn_labels/val.txt").write_text("1.jpg\n")
    assert fetch(published.source, out, no_sleep) == folder


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_users_own_in_that_place_is_left(published, out, make):
    (out / "data").mkdir(parents=True)
    make(out / "data/cells")
    refused(published.source, out, out / "data/cells", "elsewhere")
    assert os.path.lexists(out / "data/cells")
    assert published.asked() == []


# --- no network, and archives put there by hand


def test_without_a_network_the_line_says_what_to_get_and_where_to_put_it(published, cells, out):
    published.web.script = [published.web.status(404)]
    first, second = published.source.archives
    by_hand = out / "data/downloads"
    assert refused(published.source, out) == (
        f"no download: 404 Not Found; try again later, or download by hand "
        f"{first.url} as {by_hand / IMAGES} and {second.url} as {by_hand / LISTS}"
    )
    (by_hand / IMAGES).write_bytes(published.web.files["1"])
    published.web.script = [published.web.status(403)]
    line = refused(published.source, out, f"{second.url} as {by_hand / LISTS}")
    assert first.url not in line
    (by_hand / LISTS).write_bytes(published.web.files["2"])
    published.web.requests.clear()
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)
    assert published.asked() == []
    assert downloads(out) == ["fetch.lock", IMAGES, LISTS]  # what is the user's stays


def test_archives_under_each_others_names_are_used_all_the_same(published, cells, out):
    by_hand = out / "data/downloads"
    by_hand.mkdir(parents=True)
    (by_hand / IMAGES).write_bytes(published.web.files["2"])
    (by_hand / LISTS).write_bytes(published.web.files["1"])
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[: len(content) // 2], "not a whole .tar.gz file"),
        (lambda content: b"<html>" + content, "not a whole .tar.gz file"),
        (lambda _: b"", "not a whole .tar.gz file"),
        (lambda _: archive({}, more=[link("repo-1/cell_images")]), "a symbolic link"),
        (lambda _: archive({"../../cells/x": b"x"}), "out of the archive's own folder"),
        (lambda _: archive({"docs/x": bytes(3_000_000)}), "3,000,000 bytes"),
        (lambda _: archive({"cell_images/x": bytes(200_000)}), "100,000 bytes"),
        (lambda _: archive({"cell_images/x": b"", "cell_images/X": b""}), "collides"),
        (lambda _: archive({f"{i}": b"" for i in range(101)}), "more than 100 entries"),
    ],
)
def test_a_bad_archive_is_refused_by_one_line(published, cells, out, damage, words):
    bad = damage(published.web.files["1"])
    file = out / "data/downloads" / IMAGES
    # Put there by hand: left, and said to be in the way.
    file.parent.mkdir(parents=True)
    file.write_bytes(bad)
    refused(published.source, out, file, words, f"; replace or remove {file}")
    assert file.read_bytes() == bad
    file.unlink()
    # Downloaded: removed, so that the next call downloads it anew.
    good = published.web.files["1"]
    published.web.files["1"] = bad
    refused(published.source, out, words, "; the download is removed, run this again")
    assert downloads(out) == ["fetch.lock"]
    published.web.files["1"] = good
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)


def test_content_that_is_not_as_published_is_refused(published, cells, out):
    changed = published.images | {"cell_images/training_set/3.jpg": b"another image"}
    good, bad = published.web.files["1"], archive(changed)
    published.web.files["1"] = bad
    refused(published.source, out, "cell_images: not as published", "git hash", "is removed")
    assert downloads(out) == ["fetch.lock"]
    by_hand = out / "data/downloads" / IMAGES
    by_hand.write_bytes(bad)
    refused(published.source, out, "cell_images: not as published", f"remove {by_hand}")
    assert by_hand.read_bytes() == bad
    by_hand.write_bytes(good)
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)


@pytest.mark.parametrize("path", [TRAIN, DEV, "output/human2.txt"])
def test_a_part_that_is_in_no_archive_is_named(published, out, path):
    del published.lists[path]
    published.web.files["2"] = archive(published.lists)
    refused(published.source, out, f"{path}: not as published (in none of the archives)")


def test_an_archive_that_is_too_large_is_not_downloaded(published, out):
    small = replace(published.source, download_limit=len(published.web.files["1"]) - 1)
    refused(small, out, "no download: it has more than")


# --- going on


def test_a_failed_second_download_keeps_the_first(published, cells, out):
    published.web.script = [None, published.web.status(404)]
    refused(published.source, out, "404")
    assert contents(fetch(published.source, out, no_sleep)) == contents(cells)
    assert published.asked() == ["1", "2", "2"]


def command_line(published, out):
    """`head-to-head data` in a process of its own, with this source."""
    code = (
        "import signal, sys\n"
        # A shell that starts the tests in the background has the interrupt ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from experiments.data.published.archive import Limits\n"
        "from experiments.data.published.fetch import *\n"
        "import experiments.data.published.fetch as module\n"
        f"module.PUBLISHED = {published.source!r}\n"
        f"sys.argv = ['head-to-head', 'data', '--out', {str(out)!r}]\n"
        "from experiments.__main__ import main\n"
        "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_download_goes_on_where_it_was(published, cells, out, number):
    web = published.web
    most = len(web.files["1"]) // 2
    web.script = [lambda handler: handler.serve(most, lambda: web.released.wait(120))]
    part = out / "data/downloads" / f"{IMAGES}.fetched.part"
    with command_line(published, out) as stopped:
        # All but what the client still holds back of a piece.
        deadline = time.monotonic() + 120
        while not (part.exists() and part.stat().st_size >= most - 40_000):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stopped.send_signal(number)
        _, err = stopped.communicate(timeout=120)
    web.released.set()
    if number != signal.SIGKILL:
        assert stopped.returncode == 130
        assert err.splitlines()[-1] == "stopped; the same command goes on from what is finished"
    assert not (out / "data/cells").exists()
    have = part.stat().st_size
    assert 0 < have <= most

    with command_line(published, out) as again:
        said, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, "")
    assert web.ranges_asked() == [None, f"bytes={have}-", None]
    assert contents(out / "data/cells") == contents(cells)
    command = f"make ablation DATA={out}/data/cells PRESET=ablation OUT={out}"
    assert said.splitlines()[-1] == f"next: {command}"
