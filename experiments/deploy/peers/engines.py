"""The peers: programs that read any text, held to the characters of numbers and to one line.

None of them finds the text first: a cell is one line of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from experiments.errors import UserError

_CHARACTERS = "0123456789.-"


class Engine(Protocol):
    """A peer, opened for one thread. modes: how it can be asked to look at an image."""

    name: str
    modes: Sequence[str]

    def read(self, images: Sequence[Image.Image], mode: str) -> list[str]:
        """The text of each image."""


class Rapid:
    """rapidocr's recogniser, which onnxruntime runs; all at once as its own batches are."""

    modes: Sequence[str] = ("",)

    def __init__(self) -> None:
        from rapidocr import RapidOCR
        from rapidocr.ch_ppocr_rec.typings import TextRecInput

        engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        # The recogniser is loaded as it is first asked for.
        engine(np.full((48, 96, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
        self.name = f"rapidocr {version('rapidocr')}"
        self._recognise, self._input = engine.text_rec, TextRecInput
        session, characters = self._recognise.session, self._recognise.postprocess_op.character
        # It has no list of allowed characters. The first class is the blank.
        others = [i for i, c in enumerate(characters) if i and c not in _CHARACTERS]

        def limited(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            scores: npt.NDArray[np.float32] = session(batch).copy()
            scores[..., others] = 0
            return scores

        self._recognise.session = limited

    def read(self, images: Sequence[Image.Image], mode: str) -> list[str]:  # noqa: ARG002
        """The text of each image."""
        # As OpenCV has colours.
        arrays = [np.asarray(image)[..., ::-1] for image in images]
        return [str(text) for text in self._recognise(self._input(img=arrays)).txts]


class Easy:
    """EasyOCR's English recogniser, from a package that holds its weights."""

    modes: Sequence[str] = ("",)

    def __init__(self) -> None:
        # Its weights are a pickle, of which torch then takes tensors alone.
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
        import easyocr
        from easyocr_en_models import model_dir

        self.name = f"EasyOCR {version('easyocr')}"
        self._folder = tempfile.TemporaryDirectory()
        self._reader: Any = easyocr.Reader(
            ["en"],
            gpu=False,
            detector=False,
            download_enabled=False,
            verbose=False,
            model_storage_directory=model_dir(),
            user_network_directory=self._folder.name,
            quantize=False,
        )

    def read(self, images: Sequence[Image.Image], mode: str) -> list[str]:  # noqa: ARG002
        """The text of each image."""
        return [self._line(np.asarray(image.convert("L"))) for image in images]

    def _line(self, grey: npt.NDArray[np.uint8]) -> str:
        height, width = grey.shape
        found = self._reader.recognize(
            grey, [[0, width, 0, height]], [], allowlist=_CHARACTERS, detail=0
        )
        return "".join(found).replace(" ", "")


class Tesseract:
    """Tesseract's program: started once for all images of a call, and that counts as well."""

    modes: Sequence[str] = ("7", "8")  # a line, a word

    def __init__(self) -> None:
        program = shutil.which("tesseract")
        if program is None:
            raise UserError("no program tesseract; on Debian it is the package tesseract-ocr")
        self._program = program
        said = subprocess.run([program, "--version"], capture_output=True, check=True, text=True)
        self.name = f"Tesseract {(said.stdout or said.stderr).split()[1]}"

    def read(self, images: Sequence[Image.Image], mode: str) -> list[str]:
        """The text of each image."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{number}.png" for number in range(len(images))]
            for file, image in zip(files, images, strict=True):
                image.convert("L").save(file, dpi=(300, 300))
            listed = Path(folder) / "images.txt"
            listed.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
            said = subprocess.run(
                [
                    *(self._program, str(listed), "stdout", "--psm", mode, "-l", "eng"),
                    *("-c", f"tessedit_char_whitelist={_CHARACTERS}"),
                ],
                env=os.environ | {"OMP_THREAD_LIMIT": "1"},
                capture_output=True,
                check=True,
                text=True,
            )
        # A page ends with a form feed.
        return ["".join(page.split()) for page in said.stdout.split("\f")[: len(images)]]


ENGINES: tuple[type[Rapid | Easy | Tesseract], ...] = (Rapid, Easy, Tesseract)
