"""The peers that are installed, held to numbers; a program that is not there is named."""

import importlib.util
import shutil
import stat
import sys

import pytest
from PIL import Image

from experiments.deploy.peers import engines
from experiments.deploy.peers.engines import ENGINES, Tesseract
from experiments.errors import UserError
from tests.conftest import _draw

FAKE = f"""#!{sys.executable}
import sys
if sys.argv[1] == "--version":
    print("tesseract 9.8.7")
else:
    assert sys.argv[2:4] == ["stdout", "--psm"], sys.argv
    assert "tessedit_char_whitelist=0123456789.-" in sys.argv
    for line in open(sys.argv[1]):
        assert open(line.strip(), "rb").read(4) == b"\\x89PNG"
        sys.stdout.write(f"1 {{sys.argv[4]}}\\n\\f")
"""


def test_tesseract_reads_a_page_an_image(tmp_path, monkeypatch):
    program = tmp_path / "tesseract"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = Tesseract()
    assert engine.name == "Tesseract 9.8.7"
    assert engine.read([Image.new("RGB", (60, 34))] * 3, "8") == ["18"] * 3


def test_without_tesseract_its_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="package tesseract-ocr"):
        Tesseract()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_there_reads_print(engine):
    needs = {"Rapid": "rapidocr", "Easy": "easyocr", "Tesseract": "tesseract"}[engine.__name__]
    if not (importlib.util.find_spec(needs) or shutil.which(needs)):
        pytest.skip(f"needs {needs}")
    import random

    image = _draw("4027", random.Random(0)).resize((180, 102))
    opened = engines.Tesseract() if engine is Tesseract else engine()
    for mode in opened.modes:
        assert opened.read([image, image], mode) == ["4027", "4027"]
