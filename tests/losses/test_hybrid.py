"""The hybrid against its two halves, each of which has tests of its own."""

import pytest
import torch

from losses import CannotLearnError
from losses.ce_stop import CrossEntropyStop
from losses.ctc import CTC
from losses.hybrid import Hybrid
from models import Scores

DIGITS = "0123456789.-"
TEXTS = ["7", "-1.5", "100", "90210"]


def made(**options):
    return Hybrid(charset=DIGITS, max_length=5, **options)


@pytest.fixture
def scores():
    stream = torch.Generator().manual_seed(2)
    sizes = ((4, 5, 13), (4, 5), (4, 9, 13))
    return Scores(*(torch.randn(*size, generator=stream) for size in sizes))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_loss_is_the_weighted_sum_of_both(scores, weight):
    slots = CrossEntropyStop(charset=DIGITS, max_length=5)
    columns = CTC(charset=DIGITS, max_length=5)
    first = slots.loss(scores, slots.encode(TEXTS))
    second = columns.loss(Scores(scores.columns), columns.encode(TEXTS))["ctc"]
    objective = made(ctc_weight=weight)
    parts = objective.loss(scores, objective.encode(TEXTS))
    assert parts["ctc"].item() == pytest.approx(second.item(), rel=1e-6)
    assert parts["characters"].item() == first["characters"].item()
    total = first["total"].item() + weight * second.item()
    assert parts["total"].item() == pytest.approx(total, rel=1e-6)


def test_the_slots_are_read_and_the_columns_are_not(scores):
    slots = CrossEntropyStop(charset=DIGITS, max_length=5)
    assert made().decode(scores) == slots.decode(scores)
    assert made().decode(scores._replace(columns=None)) == slots.decode(scores)


def test_it_asks_for_a_head_on_the_encoder():
    assert (made().column_classes, made().column_source) == (13, "encoder")
    assert made().num_classes == 13


def test_a_label_has_to_fit_into_the_slots_and_into_the_columns():
    made().check("10022", 5, 7)
    with pytest.raises(CannotLearnError, match=r"7 columns for '10022' .* has 6: .*width_stride"):
        made().check("10022", 5, 6)
    with pytest.raises(CannotLearnError, match="max_length"):
        made().check("123456", 5, 30)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="ctc_weight"):
        made(ctc_weight=weight)
