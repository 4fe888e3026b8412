"""The readers that come with the suite: of a run its settings, its weights, and a card.

    models/trained/NAME/
      config.json            every setting of the run
      weights.safetensors    in half precision
      model.onnx             the same with its decoding, which reads without torch
      learnt.csv             digests of the images that it has seen, for runs that start from it
      validation.csv         how sure it was of each validation image, and whether it was right
      card.json, README.md   what it was trained on and how much it reads

None of it shows an image or a label of the data set.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from analysis.metrics import exact_match
from analysis.page.page import code
from analysis.record import LEARNT, SETTINGS, WEIGHTS, confidence_text
from analysis.statistics.intervals import share
from experiments.data.images import Images
from experiments.data.splits import Split, make_split
from experiments.deploy.export.onnx_file import write_onnx
from experiments.deploy.model import load_model
from experiments.deploy.reading.onnx_reader import ONNX
from experiments.deploy.reading.threshold import VALIDATION
from experiments.files import whole_folder, write_whole
from experiments.readers import CARD, reader_folder
from experiments.settings.config import RunConfig, run_config
from experiments.training.epochs import labelled
from experiments.training.inference import read
from experiments.training.run import load_data
from losses import Reading

_PARTS = {
    "val": "validation part, by which the epoch was chosen",
    "test": "dev list",
    "test_clean": "dev list without images that training also has",
    "agreed": "images that two people read alike",
}

# Of readers that learnt from the published cells.
_LIMITS = (
    "Cells of one collection: pencil and ink on printed forms, cut to about 60x34 pixels. Much of "
    "what it misreads differs from the label in the decimal point alone. These figures are of one "
    "seed: another reads a point or two more or less, and what ten read on average is in "
    "RESULTS.md of the suite. "
)
_LICENCE = (
    "**Licence.** MIT, as the suite; the data set is that of "
    "github.com/mochangheng/crnn-crossentropy-pytorch (MIT, 2019)."
)


def pack(artifacts: Path, run_id: str, command: str, name: str, data: Path, out: Path) -> Path:
    """Make a reader of a finished run; its numbers are counted anew, as half precision has them.

    command: what made the run. data: the data set it was trained on. Raises UserError.
    """
    folder = reader_folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as making:
        settings = (artifacts / SETTINGS).read_text(encoding="utf-8")
        config = run_config(json.loads(settings), {})
        images = load_data(config, data, out)
        write_whole(making / SETTINGS, settings)
        halves = {
            key: tensor.half() if tensor.dtype == torch.float32 else tensor
            for key, tensor in load_file(artifacts / WEIGHTS).items()
        }
        save_file(halves, making / WEIGHTS)
        if (artifacts / LEARNT).is_file():
            shutil.copyfile(artifacts / LEARNT, making / LEARNT)
        write_onnx(load_model(making), making / ONNX)
        split = make_split(images, config)
        readings = read_parts(making, images, split)
        card = {
            "name": name,
            "run": run_id,
            "run_hash": config.run_hash(images.digest),
            "command": command,
            "dataset": images.name,
            # What the published system read stands in no other data.
            "published": "output1" in images.readings,
            "data_digest": images.digest,
            "trained_on": len(split.train),
            "right_of": count_right(images, split, readings),
        }
        write_whole(making / VALIDATION, _validation(images, readings["val"]))
        write_whole(making / CARD, json.dumps(card, indent=1) + "\n")
        write_whole(making / "README.md", card_text(card, config))
    return folder


def read_parts(folder: Path, images: Images, split: Split) -> dict[str, dict[int, Reading]]:
    """What the model in the folder reads in each part; part -> index into images -> reading."""
    trained = load_model(folder)
    parts = {"val": split.val, "test": split.test, "human": split.human}
    return {
        part: dict(
            zip(at, read(trained.model, trained.objective, labelled(images, at)[0]), strict=True)
        )
        for part, at in parts.items()
    }


def count_right(
    images: Images, split: Split, readings: dict[str, dict[int, Reading]]
) -> dict[str, tuple[int, int]]:
    """How many readings are right, and of how many, for each line of a card."""
    first, second = (images.readings.get(reader, {}) for reader in ("human1", "human2"))
    named = [(i, images.rows[i].filename) for i in split.human]
    alike = {i: first[n] for i, n in named if n in first and first[n] == second.get(n)}
    labels = {i: images.rows[i].label or "" for i in (*split.val, *split.test)}
    truths = {
        "val": {i: labels[i] for i in split.val},
        "test": {i: labels[i] for i in split.test},
        "test_clean": {i: labels[i] for i in split.test if i in split.clean},
        "agreed": alike,
    }
    everything = {i: r.text for of_part in readings.values() for i, r in of_part.items()}
    return {
        part: (sum(everything[i] == text for i, text in truth.items()), len(truth))
        for part, truth in truths.items()
        if truth
    }


def card_text(card: dict[str, Any], config: RunConfig) -> str:
    """The card as a page."""
    colour = "grey" if config.image.channels == 1 else "colour"
    named = "published data set (`make data`)"
    if not card["published"]:
        named = f"data set {code(card['dataset'])}"
    lines = [
        f"# {card['name']}",
        "",
        f"A reader of short handwritten numbers: {config.loss}, decoder {config.decoder}, on "
        f"{config.backbone}; characters `{config.charset}`; images are scaled to "
        f"{config.image.height}x{config.image.width} {colour} pixels.",
        "",
        "    make predict IMAGES=folder RUN=" + card["name"],
        "",
        "| exact match, every character counted | right | of | % (95% interval) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for part, (right, of) in card["right_of"].items():
        found = share(right, of)
        percent, low, high = (100 * x for x in (found.estimate, found.low, found.high))
        counts = f"{right} | {of} | {percent:.1f} ({low:.1f} to {high:.1f})"
        lines.append(f"| {_PARTS[part]} | {counts} |")
    return "\n".join(
        [
            *lines,
            "",
            f"**Trained on** {card['trained_on']:,} images of the {named}, digest "
            f"`{card['data_digest']}`; the validation part is cut from its training list. The dev "
            "list and the human-read images chose nothing.",
            "",
            "**Made by**",
            "",
            f"    {card['command']}",
            "",
            f"run `{card['run_hash']}`, one seed ({config.seed}); the weights are in half "
            "precision (safetensors), and the table is of these.",
            "",
            f"**Limits.** {_LIMITS if card['published'] else ''}It reads something into every "
            "image, also into one without a number: use ACCURACY= to have unsure readings marked, "
            "and try it on your own cells before you rely on it.",
            "",
            *([_LICENCE, ""] if card["published"] else []),
        ]
    )


def _validation(images: Images, readings: dict[int, Reading]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["confidence", "right"])
    # Of identical images the first stands for all.
    first = {images.groups[index]: index for index in reversed(list(readings))}
    alone = [(index, readings[index]) for index in first.values()]
    for index, reading in sorted(alone, key=lambda item: -item[1].confidence):
        right = exact_match([images.rows[index].label or ""], [reading.text])
        rows.writerow([confidence_text(reading.confidence), int(right)])
    return text.getvalue()
