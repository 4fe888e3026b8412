"""How unlikely a model finds a label, held against its own readings."""

import math

import pytest
import torch

import models
from experiments.training.inference import label_losses, read
from losses import OBJECTIVES

CHARSET = "0123456789.-"
ARMS = [
    (loss, decoder)
    for loss, objective in OBJECTIVES.items()
    for decoder, reader in models.DECODERS.items()
    if reader.layout == objective.layout and (reader.has_columns or loss != "hybrid")
]


def made(loss, decoder):
    torch.manual_seed(0)
    objective = OBJECTIVES[loss](charset=CHARSET, max_length=6)
    outputs = models.Outputs(
        objective.num_classes,
        objective.length_classes,
        6,
        objective.column_classes,
        objective.column_source,
    )
    pixels = (torch.rand(5, 1, 32, 64) * 255).to(torch.uint8)
    return models.build("small_cnn", 4, decoder, outputs), objective, pixels


@pytest.mark.parametrize(("loss", "decoder"), ARMS)
def test_the_loss_of_what_was_read_is_minus_the_log_of_its_confidence(loss, decoder):
    model, objective, pixels = made(loss, decoder)
    readings = read(model, objective, pixels)
    found = label_losses(model, objective, pixels, [reading.text for reading in readings])
    expected = [-math.log(reading.confidence) for reading in readings]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)
    # Another label of the same image is told apart, and each image answers for its own.
    others = label_losses(model, objective, pixels, ["17", "4", "0.5", "-3", "88"])
    assert others != pytest.approx(found, rel=1e-3)
    alone = [
        label_losses(model, objective, pixels[i : i + 1], [text])[0]
        for i, text in enumerate(["17", "4", "0.5", "-3", "88"])
    ]
    assert others == pytest.approx(alone, rel=1e-3, abs=1e-4)


def test_a_label_that_cannot_be_emitted_is_infinitely_unlikely():
    # 16 time steps; the label needs 17. Its training loss is set to zero, which is no trust in it.
    model, _, pixels = made("ctc", "columns")
    objective = OBJECTIVES["ctc"](charset=CHARSET, max_length=6, allow_infeasible=True)
    (found,) = label_losses(model, objective, pixels[:1], ["111111111"])
    assert found == math.inf
