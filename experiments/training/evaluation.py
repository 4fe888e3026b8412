"""What a run's held-out readings say: metrics, and the tables that go with the record."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from analysis.metrics import against_people, character_error_rate, exact_match
from analysis.record import (
    IMAGE_COLUMNS,
    IMAGES,
    PREDICTION_COLUMNS,
    PREDICTIONS,
    READER_COLUMNS,
    READERS,
    confidence_text,
)
from experiments.data.images import Images
from experiments.data.splits import Split
from losses import Reading

# Part (val, test, human) -> index into Images -> reading.
Readings = dict[str, dict[int, Reading]]


def label_metrics(images: Images, split: Split, readings: Readings) -> dict[str, float]:
    """Exact match and character error rate against the labels of each part.

    `test_clean`: on the leak-free images of the test, which for some splits are all of it, so that
    runs of every split have it under one name.
    """
    parts = {part: list(readings.get(part, {})) for part in ("val", "test")}
    parts["test_clean"] = [i for i in parts["test"] if i in split.clean]
    metrics: dict[str, float] = {}
    for name, at in parts.items():
        read_by = readings.get("test" if name == "test_clean" else name, {})
        truths = [images.rows[i].label or "" for i in at]
        texts = [read_by[i].text for i in at]
        if at:
            metrics[f"{name}.exact_match"] = exact_match(truths, texts)
            metrics[f"{name}.cer"] = character_error_rate(truths, texts)
    return metrics


def human_metrics(images: Images, split: Split, readings: dict[int, Reading]) -> dict[str, float]:
    """Exact match with what people read: each, where both agree, and either of them.

    `_clean`: on the images without an identical one among those learnt from or selected on.
    """
    first, second = (images.readings.get(reader, {}) for reader in ("human1", "human2"))
    metrics: dict[str, float] = {}
    for suffix, keep in (("", set(readings)), ("_clean", set(readings) & split.clean)):
        both = [
            (readings[i].text, first[name], second[name])
            for i in sorted(keep)
            if (name := images.rows[i].filename) in first and name in second
        ]
        scores = against_people(*([trio[k] for trio in both] for k in range(3)))
        metrics |= {
            f"{name}{suffix}.exact_match": score
            for name, score in scores.items()
            if not math.isnan(score)
        }
    return metrics


def prediction_rows(
    images: Images, readings: Readings, losses: dict[str, dict[int, float]]
) -> list[list[object]]:
    """A row an image that was read; truth and its loss are empty where it is not known.

    The truth of an image that people read is the label of identical labelled images, if it is one.
    """
    known = _labels_of_groups(images)
    rows: list[list[object]] = [list(PREDICTION_COLUMNS)]
    for part, by_image in readings.items():
        for index, reading in by_image.items():
            row = images.rows[index]
            confidence = confidence_text(reading.confidence)
            loss = f"{losses[part][index]:.6g}" if part in losses else ""
            truth = row.label or known.get(images.groups[index], "")
            rows.append([part, row.filename, truth, reading.text, confidence, loss])
    return rows


def _labels_of_groups(images: Images) -> dict[int, str]:
    """The one label of each group of identical images; none where they differ or were changed."""
    labels: dict[int, set[str | None]] = {}
    for index, row in enumerate(images.rows):
        if row.label is not None:
            label = None if index in images.changed else row.label
            labels.setdefault(images.groups[index], set()).add(label)
    return {
        group: label
        for group, found in labels.items()
        if len(found) == 1 and (label := next(iter(found))) is not None
    }


def image_rows(images: Images, split: Split, readings: Readings) -> list[list[object]]:
    """For each predicted image its group of identical images, whether it counts as clean (see
    Split), the list it stands in, and whether its label was changed on purpose.
    """
    rows: list[list[object]] = [list(IMAGE_COLUMNS)]
    for part, by_image in readings.items():
        for index in by_image:
            row = images.rows[index]
            clean, changed = int(index in split.clean), int(index in images.changed)
            rows.append([part, row.filename, images.groups[index], clean, row.part, changed])
    return rows


def reader_rows(images: Images) -> list[list[object]]:
    """What people and published models read on the human part."""
    rows: list[list[object]] = [list(READER_COLUMNS)]
    for reader, by_name in images.readings.items():
        rows += [[reader, filename, text] for filename, text in by_name.items()]
    return rows


def write_tables(
    folder: Path,
    images: Images,
    split: Split,
    readings: Readings,
    losses: dict[str, dict[int, float]],
) -> list[Path]:
    """The tables of a record as CSV; the predictions last, since a record counts once it has them.

    losses: part -> index into Images -> how unlikely its label is; empty where nobody asked.
    """
    tables = {IMAGES: image_rows(images, split, readings)}
    if images.readings:
        tables[READERS] = reader_rows(images)
    tables[PREDICTIONS] = prediction_rows(images, readings, losses)
    return [_write_table(folder / name, rows) for name, rows in tables.items()]


def _write_table(file: Path, rows: list[list[object]]) -> Path:
    """Rows as CSV; returns the file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    file.write_text(text.getvalue(), encoding="utf-8")
    return file
