"""What the page is sent, beside the same from the scores by other means."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from experiments.deploy.demo.answer import answer, load_shown
from experiments.errors import UserError


def cell(text="12.5"):
    """A made cell as a PNG file."""
    image = Image.new("L", (60, 34), 200)
    ImageDraw.Draw(image).text((8, 5), text, fill=40, font=ImageFont.load_default(size=20))
    content = BytesIO()
    image.save(content, format="PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def shown(store):
    """Readers by name: those of the suite, and two runs."""
    names = {"ctc": "ctc", "ce_stop": "ce_stop", **store.runs}
    return {name: load_shown(run, store.out) for name, run in names.items()}


def given(reader, content, pad=0):
    """The pixels (H, W) that a grey reader is given."""
    image = ImageOps.expand(Image.open(BytesIO(content)).convert("L"), (0, pad))
    size = reader.trained.size
    return np.asarray(image.resize((size.width, size.height), Image.Resampling.BILINEAR))


def scores_of(reader, pixels):
    with torch.no_grad():
        return reader.trained.model(torch.from_numpy(pixels.copy())[None, None].float() / 255)


def softmax(scores):
    high = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return high / high.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "pad", "last"),
    [
        *(("ctc", 0, "blank"), ("ce_stop", 0, "stop")),
        *(("columns", 9, "blank"), ("latent_lstm", 0, "stop")),
    ],
)
def test_the_answer_is_what_the_scores_say(shown, name, pad, last):
    reader, content = shown[name], cell()
    said = answer(reader, content)
    pixels = given(reader, content, pad)
    scores = scores_of(reader, pixels)

    assert said["name"] == reader.name
    reading = reader.trained.objective.decode(scores)[0]
    assert said["text"] == reading.text
    assert said["confidence"] == pytest.approx(reading.confidence)
    assert said["characters"] == pytest.approx(reading.characters)

    assert said["classes"] == [*"0123456789.-", last]
    steps = softmax(scores.steps[0].double().numpy())
    rows = len(steps) if last == "blank" else min(len(steps), len(reading.text) + 1)
    np.testing.assert_allclose(said["steps"], steps[:rows], rtol=1e-6)

    texts = [one["text"] for one in said["best"]]
    assert len(set(texts)) == len(texts)
    # Of a run that has hardly learnt the search gives up before.
    assert len(texts) == 10 or name == "columns"
    probabilities = [one["probability"] for one in said["best"]]
    assert probabilities == sorted(probabilities, reverse=True)
    for text, probability in zip(texts, probabilities, strict=True):
        by_itself = reader.trained.objective.log_probability(scores, [text]).item()
        assert probability == pytest.approx(math.exp(by_itself), rel=1e-4)
    assert max(probabilities, default=1) >= reading.confidence - 1e-6

    image = said["image"]
    rgb = np.frombuffer(base64.b64decode(image["rgb"]), np.uint8)
    rgb = rgb.reshape(image["height"], image["width"], 3)
    assert (rgb == pixels[:, :, None]).all()


def test_the_readers_of_the_suite_read_a_printed_number(shown):
    said = answer(shown["ctc"], cell("37"))
    assert said["text"] == "37"
    assert said["best"][0]["text"] == "37"


def test_attention_has_a_row_a_position_that_is_read(shown):
    said = answer(shown["ce_stop"], cell())
    attention = np.array(said["attention"])
    assert attention.shape == (len(said["text"]) + 1, 30)
    assert len(said["steps"]) == len(attention)
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    # From left to right.
    assert (np.diff((attention[:-1] * np.arange(30)).sum(axis=1)) > 0).all()
    for name in ("ctc", "columns", "latent_lstm"):
        assert answer(shown[name], cell())["attention"] is None


def test_a_reader_is_called_as_it_was_chosen(shown, store):
    assert shown["ctc"].name == "ctc"
    assert shown["ctc"].about == "loss ctc, decoder columns, backbone fine_cnn"
    assert shown["latent_lstm"].name == store.runs["latent_lstm"]
    assert "decoder latent_lstm" in shown["latent_lstm"].about


def test_what_is_no_image_or_no_reader_is_one_line(shown, store):
    with pytest.raises(UserError, match=r"^the image: not a readable image"):
        answer(shown["ctc"], b"words")
    with pytest.raises(UserError, match="nobody: no finished run"):
        load_shown("nobody", store.out)
    with pytest.raises(UserError, match="nowhere"):
        load_shown("nobody", Path("nowhere"))
