"""Git's hashes, against git."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.data.published.git_hash import blob_hash, tree_hashes

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *arguments, content=None):
    alone = {"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nowhere"}
    command = ["git", "-c", "core.autocrlf=false", "-c", "core.fileMode=true", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=alone, input=content, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def written(folder):
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    digest = git(folder, "write-tree")
    shutil.rmtree(folder / ".git")
    return digest


@pytest.mark.parametrize("content", [b"", b"one\n", b"\r\n\0\xff", b"x" * 100_000])
def test_a_file_has_the_hash_that_git_gives_it(tmp_path, content):
    assert blob_hash(content) == git(tmp_path, "hash-object", "--stdin", content=content)


# Names whose order is another with a folder's slash behind them.
NAMES = st.sampled_from(
    ["a", "a.b", "a-b", "a0", "A", "ab", "é", "a b", "1.jpg", "10.jpg", "2.jpg"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=9), st.booleans()), min_size=1)


@settings(max_examples=12)
@given(FILES)
@example(dict.fromkeys(("a/1.jpg", "a.b", "a-b", "a0", "ab"), (b"x", False)))
def test_a_folder_has_the_hash_that_git_gives_it(files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, (content, executable) in files.items():
            file = folder / path
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # the name is a folder's, or the folder's name a file's
            file.chmod(0o755 if executable else 0o644)
        (folder / "empty" / "too").mkdir(parents=True)
        wanted = written(folder)
        assert tree_hashes(folder)[0] == wanted


def test_a_file_system_without_modes_gives_the_same_hash(tmp_path):
    (tmp_path / "sub").mkdir()
    for path, mode in (("a", 0o644), ("sub/b", 0o600)):
        (tmp_path / path).write_text(path)
        (tmp_path / path).chmod(mode)
    plain = written(tmp_path)
    for path in ("a", "sub/b"):
        (tmp_path / path).chmod(0o777)
    executable = written(tmp_path)
    assert plain != executable
    assert tree_hashes(tmp_path) == (executable, plain, executable)


def test_a_link_has_no_place_in_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(ValueError, match="link is neither a file nor a folder"):
        tree_hashes(tmp_path)
