"""A made data set is written in the published layout, and is there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

JPEG_QUALITY = 85


def ensure_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder, written if it is not there yet; `write` is given an empty one to fill.

    It is made under another name and renamed when it is whole, so a folder that exists is whole
    and two processes may make it at once.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        making.chmod(0o755)  # a temporary folder is closed to others, a data set is not
        write(making)
        try:
            making.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def write_cells(folder: Path, cells: Iterable[tuple[str, str, Image.Image]]) -> None:
    """Write (part, label, image) one by one into an empty folder, numbered as they come."""
    images = folder / "cell_images/training_set"
    images.mkdir(parents=True)
    values = ["filename;value"]
    lists: dict[str, list[str]] = {}
    for number, (part, label, image) in enumerate(cells, 1):
        name = f"{number}.jpg"
        image.save(images / name, quality=JPEG_QUALITY)
        values.append(f"{name};{label}")
        lists.setdefault(part, []).append(name)
    (folder / "crnn_labels").mkdir()
    for part, names in lists.items():
        (folder / "crnn_labels" / f"{part}.txt").write_text(
            "\n".join(names) + "\n", encoding="utf-8"
        )
    (folder / "cell_images/training_set_values.txt").write_text(
        "\n".join(values) + "\n", encoding="utf-8"
    )
