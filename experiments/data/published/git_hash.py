"""The names that git gives to content: SHA-1 of a file (blob) and of a folder (tree).

They say what an archive must hold, where the archive's own bytes differ from one making of it to
the next. The formats: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

_PLAIN, _EXECUTABLE = b"100644", b"100755"


class _File(NamedTuple):
    blob: bytes
    mode: bytes


# What a folder holds, by name: its files, and its folders in the same way.
_Tree = dict[bytes, "_File | _Tree"]


def blob_hash(content: bytes) -> str:
    """What `git hash-object` says of a file with this content."""
    return _hash(b"blob", content).hex()


def tree_hashes(folder: Path) -> tuple[str, ...]:
    """What `git write-tree` says of a folder: with its files' modes as they stand, and as a file
    system that keeps no modes shows them, none of them executable or all.

    Raises ValueError naming what is neither a file nor a folder.
    """
    tree = _read(folder)
    return tuple(_tree_hash(tree, mode).hex() for mode in (None, _PLAIN, _EXECUTABLE))


def _read(folder: Path) -> _Tree:
    tree: _Tree = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                # Git knows no empty folder.
                if below := _read(Path(entry.path)):
                    tree[name] = below
            elif entry.is_file(follow_symlinks=False):
                executable = entry.stat().st_mode & stat.S_IXUSR
                blob = _hash(b"blob", Path(entry.path).read_bytes())
                tree[name] = _File(blob, _EXECUTABLE if executable else _PLAIN)
            else:
                raise ValueError(f"{entry.path} is neither a file nor a folder")
    return tree


def _tree_hash(tree: _Tree, mode: bytes | None) -> bytes:
    """mode: that of every file, instead of its own."""
    rows = []
    for name, entry in tree.items():
        if isinstance(entry, _File):
            rows.append((name, mode or entry.mode, entry.blob))
        else:
            rows.append((name + b"/", b"40000", _tree_hash(entry, mode)))
    # Git's order: that of the names, where a folder's ends with a slash.
    content = b"".join(
        kind + b" " + name.rstrip(b"/") + b"\0" + digest for name, kind, digest in sorted(rows)
    )
    return _hash(b"tree", content)


def _hash(kind: bytes, content: bytes) -> bytes:
    head = b"%s %d\0" % (kind, len(content))
    return hashlib.sha1(head + content, usedforsecurity=False).digest()
