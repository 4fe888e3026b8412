"""CTC against a brute force that walks through every alignment."""

import math
import re
from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from losses import CannotLearnError
from losses.ctc import CTC
from models import Scores

CHARSETS = {1: "7", 2: "73", 3: "73."}
DIGITS = "0123456789.-"


def ctc(charset, **options):
    return CTC(charset=charset, max_length=10, **options)


def collapse(path, charset):
    """The text of a path of classes: repeats merged first, then blanks (the last class) removed."""
    return "".join(charset[c] for c, _ in groupby(path) if c != len(charset))


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def paths_of(scores, charset):
    """Every path of classes, its text and its probability. scores: (T, C)."""
    probabilities = softmax(np.asarray(scores, dtype=np.float64))
    steps, classes = probabilities.shape
    for path in product(range(classes), repeat=steps):
        probability = math.prod(probabilities[t, c] for t, c in enumerate(path))
        yield path, collapse(path, charset), probability


def total_by_text(scores, charset):
    totals = {}
    for _, text, probability in paths_of(scores, charset):
        totals[text] = totals.get(text, 0.0) + probability
    return totals


def batch(*scores):
    return Scores(torch.tensor(np.stack(scores), dtype=torch.float32))


@st.composite
def scored(draw, max_steps=5, max_characters=3):
    """A charset and the scores (T, C) of one sample; the blank makes C one more."""
    charset = CHARSETS[draw(st.integers(1, max_characters))]
    steps = draw(st.integers(1, max_steps))
    # Sixteenths are exact in float32, so that both sides see the same numbers.
    values = st.integers(-128, 128).map(lambda i: i / 16)
    return charset, draw(hnp.arrays(np.float64, (steps, len(charset) + 1), elements=values))


@settings(max_examples=40)
@given(scored())
def test_loss_is_minus_log_of_the_sum_over_all_alignments(sample):
    charset, scores = sample
    objective = ctc(charset)
    for text, probability in total_by_text(scores, charset).items():
        parts = objective.loss(batch(scores), objective.encode([text]))
        assert parts["total"].item() == pytest.approx(-math.log(probability), rel=1e-4, abs=1e-4)


@settings(max_examples=40)
@given(scored())
def test_confidence_is_the_probability_of_the_text_over_all_alignments(sample):
    charset, scores = sample
    (reading,) = ctc(charset).decode(batch(scores))
    assert reading.confidence == pytest.approx(
        total_by_text(scores, charset)[reading.text], rel=1e-4, abs=1e-6
    )
    assert 0 <= reading.confidence <= 1


@settings(max_examples=40)
@given(scored())
def test_log_probability_is_that_over_all_alignments_and_of_nothing_else(sample):
    charset, scores = sample
    steps = len(scores)
    totals = total_by_text(scores, charset)
    texts = [*totals, charset[0] * (steps + 1), (charset * (steps + 1))[: steps + 1]]
    # Neither the focus nor what is set to zero in training has a part in it.
    objective = ctc(charset, focal_gamma=2.0, allow_infeasible=True)
    found = objective.log_probability(batch(*[scores] * len(texts)), texts)
    expected = [math.log(totals[text]) for text in totals] + [-math.inf] * 2
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@settings(max_examples=60)
@given(scored())
def test_reading_is_the_text_of_a_most_probable_path(sample):
    charset, scores = sample
    paths = list(paths_of(scores, charset))
    best = max(probability for *_, probability in paths)
    # More than one path where scores tie: which of them is taken is left open.
    texts = {text for _, text, probability in paths if probability >= best * (1 - 1e-9)}
    (reading,) = ctc(charset).decode(batch(scores))
    assert reading.text in texts


@settings(max_examples=20)
@given(scored(max_steps=4))
def test_probabilities_of_all_texts_sum_to_one(sample):
    charset, scores = sample
    objective = ctc(charset)
    losses = [
        objective.loss(batch(scores), objective.encode([text]))["total"].item()
        for text in total_by_text(scores, charset)
    ]
    assert math.fsum(math.exp(-loss) for loss in losses) == pytest.approx(1, abs=1e-4)


@settings(max_examples=20)
@given(scored(max_steps=4), st.randoms(use_true_random=False))
def test_gradient_is_that_of_the_brute_force(sample, random):
    charset, scores = sample
    text = random.choice(sorted(total_by_text(scores, charset)))
    ours = batch(scores).steps.requires_grad_()
    objective = ctc(charset)
    objective.loss(Scores(ours), objective.encode([text]))["total"].backward()

    reference = torch.tensor(scores, requires_grad=True)
    log_probabilities = reference.log_softmax(dim=-1)
    alignments = [
        sum(log_probabilities[t, c] for t, c in enumerate(path))
        for path, its_text, _ in paths_of(scores, charset)
        if its_text == text
    ]
    (-torch.logsumexp(torch.stack(alignments), dim=0)).backward()
    torch.testing.assert_close(ours.grad[0].double(), reference.grad, rtol=1e-3, atol=1e-4)


def test_loss_is_a_mean_over_labels_of_different_lengths():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4, 5, 4))
    texts = ["7.3", "", "33", "7"]
    expected = [
        -math.log(total_by_text(row, "73.")[text]) for row, text in zip(scores, texts, strict=True)
    ]
    objective = ctc("73.")
    parts = objective.loss(batch(*scores), objective.encode(texts))
    assert parts["total"].item() == pytest.approx(sum(expected) / 4, rel=1e-5)
    assert parts["ctc"].item() == parts["total"].item()


def test_adjacent_repeat_has_one_alignment_in_three_steps():
    scores = np.array([[1.0, 0.5, -1.0], [0.0, 2.0, 1.0], [3.0, -1.0, 0.5]])
    p = softmax(scores)
    objective = ctc("73")
    loss = objective.loss(batch(scores), objective.encode(["77"]))["total"].item()
    assert loss == pytest.approx(-math.log(p[0, 0] * p[1, 2] * p[2, 0]), rel=1e-5)


def one_hot(path, classes, height=4.0):
    return np.eye(classes)[list(path)] * height


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((0, 0, 0), "7"),
        ((0, 2, 0), "77"),
        ((2, 0, 0, 2, 2, 0, 1), "773"),
        ((0, 1, 0), "737"),
        ((1, 1, 2, 2, 1), "33"),
        ((2, 2, 2), ""),
    ],
)
def test_best_path_merges_repeats_and_then_drops_blanks(path, text):
    (reading,) = ctc("73").decode(batch(one_hot(path, 3)))
    assert reading.text == text


def test_empty_reading_has_the_probability_of_blanks_alone():
    scores = one_hot((2, 2, 2, 2), 3, height=1.0)
    blank = math.e / (math.e + 2)
    (reading,) = ctc("73").decode(batch(scores))
    assert reading.text == ""
    assert reading.confidence == pytest.approx(blank**4, rel=1e-5)


def test_batch_is_read_row_by_row():
    rows = [one_hot(path, 4) for path in ((3, 3, 3, 3), (0, 1, 2, 3), (1, 3, 1, 1))]
    objective = ctc("73.")
    together = objective.decode(batch(*rows))
    assert [reading.text for reading in together] == ["", "73.", "33"]
    for row, reading in zip(rows, together, strict=True):
        assert reading.confidence == pytest.approx(total_by_text(row, "73.")[reading.text], 1e-4)


def test_no_scores_give_no_readings():
    assert ctc("73").decode(Scores(torch.zeros((0, 5, 3)))) == []


def test_a_certain_reading_is_not_more_than_certain():
    # The sum over alignments is rounded in float32 and ends a little above 1 for some of these.
    rng = np.random.default_rng(0)
    scores = [one_hot(path, 3, height=20.0) for path in rng.integers(0, 3, size=(400, 32))]
    readings = ctc("73").decode(batch(*(row + rng.normal(size=row.shape) for row in scores)))
    assert all(0.999 < reading.confidence <= 1 for reading in readings)


def test_encode_pads_on_the_right_and_keeps_lengths():
    classes, lengths = ctc(DIGITS).encode(["1.5", "", "-30"])
    assert classes.dtype == lengths.dtype == torch.int64
    assert lengths.tolist() == [3, 0, 3]
    assert classes[0].tolist() == [1, 10, 5]
    assert classes[2].tolist() == [11, 3, 0]


def test_encode_refuses_a_character_outside_the_charset():
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own
        ctc(DIGITS).encode(["1,5"])


def test_one_class_more_than_characters_and_no_length_head():
    objective = ctc(DIGITS)
    assert objective.num_classes == 13
    assert objective.length_classes == 0


def accepts(objective, text, steps):
    try:
        objective.check(text, steps)
    except CannotLearnError:
        return False
    return True


@given(st.text(alphabet="01.", max_size=12), st.integers(1, 24))
@example("", 1)
@example("000", 4)
@example("000", 5)
def test_check_asks_for_length_plus_adjacent_repeats(text, steps):
    # A repeat counts once for every character that is equal to the one before it.
    needed = len(text) + len(re.findall(r"(?=(.)\1)", text))
    assert accepts(ctc(DIGITS), text, steps) == (steps >= needed)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_check_accepts_just_the_texts_that_some_path_emits(steps):
    emitted = set(total_by_text(np.zeros((steps, 3)), "73"))
    texts = {"".join(t) for n in range(steps + 2) for t in product("73", repeat=n)}
    assert {text for text in texts if accepts(ctc("73"), text, steps)} == emitted


def test_check_says_what_is_needed_and_what_to_change():
    with pytest.raises(CannotLearnError, match=r"5 time steps for '1001' .* 4: .*width_stride"):
        ctc(DIGITS).check("1001", 4)


def test_infeasible_label_has_infinite_loss():
    objective = ctc("73")
    loss = objective.loss(batch(np.zeros((2, 3))), objective.encode(["77"]))["total"]
    assert loss.item() == math.inf


def test_allowed_infeasible_label_has_no_loss_and_no_gradient():
    objective = ctc("73", allow_infeasible=True)
    objective.check("7777", 2)
    rng = np.random.default_rng(5)
    values = rng.normal(size=(2, 2, 3))
    scores = batch(*values).steps.requires_grad_()
    total = objective.loss(Scores(scores), objective.encode(["77", "73"]))["total"]
    total.backward()
    expected = -math.log(total_by_text(values[1], "73")["73"])
    assert total.item() == pytest.approx(expected / 2, rel=1e-5)  # the mean counts the zero
    assert scores.grad[0].abs().max().item() == 0
    assert scores.grad[1].abs().max().item() > 0.01


def test_allowing_infeasible_labels_changes_nothing_for_the_others():
    rng = np.random.default_rng(6)
    scores = batch(*rng.normal(size=(3, 5, 3)))
    strict, lenient = ctc("73"), ctc("73", allow_infeasible=True)
    targets = strict.encode(["7", "737", "33"])
    assert strict.loss(scores, targets)["total"] == lenient.loss(scores, targets)["total"]


def test_the_shortcut_is_a_second_ctc_loss_that_is_not_read():
    rng = np.random.default_rng(7)
    read, shortcut = rng.normal(size=(2, 3, 5, 3))
    texts = ["7", "737", "33"]
    objective = ctc("73", shortcut_weight=0.25)
    scores = Scores(batch(*read).steps, None, batch(*shortcut).steps)
    parts = objective.loss(scores, objective.encode(texts))
    by_hand = [
        sum(-math.log(total_by_text(row, "73")[t]) for row, t in zip(rows, texts, strict=True)) / 3
        for rows in (read, shortcut)
    ]
    assert parts["ctc"].item() == pytest.approx(by_hand[0], rel=1e-5)
    assert parts["shortcut"].item() == pytest.approx(by_hand[1], rel=1e-5)
    assert parts["total"].item() == pytest.approx(by_hand[0] + 0.25 * by_hand[1], rel=1e-5)
    assert objective.decode(scores) == ctc("73").decode(batch(*read))


def test_a_shortcut_asks_for_a_head_on_the_trunk():
    assert ctc(DIGITS).column_classes == 0
    asking = ctc(DIGITS, shortcut_weight=0.1)
    assert (asking.column_classes, asking.column_source) == (13, "trunk")


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_ctc_weighs_each_label_by_what_it_lacks_in_probability(gamma):
    rng = np.random.default_rng(8)
    scores = rng.normal(size=(3, 4, 3))
    texts = ["7", "737", "33"]
    p = [total_by_text(row, "73")[text] for row, text in zip(scores, texts, strict=True)]
    objective = ctc("73", focal_gamma=gamma)
    expected = sum((1 - q) ** gamma * -math.log(q) for q in p) / 3
    total = objective.loss(batch(*scores), objective.encode(texts))["total"].item()
    assert total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_label_that_is_certain_has_a_focal_gradient_that_is_a_number(gamma):
    objective = ctc("73", focal_gamma=gamma)
    scores = batch(one_hot((0, 2, 1), 3, height=200.0)).steps.requires_grad_()
    total = objective.loss(Scores(scores), objective.encode(["73"]))["total"]
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("option", ["shortcut_weight", "focal_gamma"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_a_factor_that_is_none_is_refused(option, value):
    with pytest.raises(ValueError, match=option):
        ctc(DIGITS, **{option: value})
