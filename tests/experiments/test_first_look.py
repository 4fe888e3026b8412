"""The notebook runs from top to bottom, on data and runs that take seconds."""

import json
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parents[2] / "experiments/first_look.ipynb"
TINY = """
[run]
epochs = 1
batch_size = 8
width_stride = 8
hidden = 16

[[grid]]
loss = ["ctc", "ce_stop"]
image = [{height = 32, width = 80}]
"""


def test_it_is_kept_without_what_it_printed():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
def test_it_trains_compares_shows_mistakes_and_reads_an_image(make_cells, tmp_path):
    preset = tmp_path / "tiny.toml"
    preset.write_text(TINY)
    data, out = make_cells(train=24, dev=6, val=8, human=2), tmp_path / "out"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    chosen = notebook.cells[1]
    for name, value in {"PRESET": str(preset), "DATA": data, "OUT": out}.items():
        line = next(line for line in chosen.source.splitlines() if line.startswith(f"{name} = "))
        new = f"{name} = {value!r}" if isinstance(value, str) else f"{name} = Path({str(value)!r})"
        chosen.source = chosen.source.replace(line, new)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute(
        cwd=str(NOTEBOOK.parents[1])
    )
    shown = [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    said = "\n".join(shown)
    assert re.search(r"^2 runs, about \d+ (seconds|minutes) here$", said, re.MULTILINE)
    assert "2 made, 0 finished before" in said
    assert (out / "report/report.html").is_file()
    arms = next(text for text in shown if "exact_match" in text)
    assert "ctc columns" in arms
    assert "was read as" in json.dumps(notebook.cells, default=str)
    assert "12.5" in shown[-1]
    pictures = [
        o
        for cell in notebook.cells
        for o in cell.get("outputs", [])
        if "image/png" in o.get("data", {})
    ]
    assert len(pictures) >= 2  # the curves, and an image that was misread
