"""Cross-entropy with a stop against sums written out by hand."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losses import CannotLearnError, Targets
from losses.ce_stop import CrossEntropyStop
from models import Scores

DIGITS = "0123456789.-"


def ce_stop(charset="73", max_length=3, **options):
    return CrossEntropyStop(charset=charset, max_length=max_length, **options)


def minus_log_p(scores, wanted):
    """-log softmax(scores)[wanted] in plain floats."""
    return -math.log(math.exp(scores[wanted]) / sum(math.exp(s) for s in scores))


# Two samples, three positions, the classes '7', '3' and the stop.
SCORES = [
    [[0.5, 1.5, -1.0], [0.0, 0.25, 2.0], [1.0, -0.5, 0.75]],
    [[2.0, 0.0, 0.5], [-1.0, 1.0, 0.0], [0.1, 0.2, 0.3]],
]
LENGTH_SCORES = [[0.3, -0.2, 1.1], [-0.7, 0.4, 0.9]]
TEXTS = ["3", "737"]

# '3' is followed by the stop and one position behind it; '737' fills all three.
SHORT = minus_log_p(SCORES[0][0], 1) + minus_log_p(SCORES[0][1], 2)
BEHIND = minus_log_p(SCORES[0][2], 0)
FULL = sum(minus_log_p(SCORES[1][i], c) for i, c in enumerate([0, 1, 0]))
LENGTH = (minus_log_p(LENGTH_SCORES[0], 0) + minus_log_p(LENGTH_SCORES[1], 2)) / 2


@pytest.mark.parametrize(
    ("after_stop", "characters"),
    [("ignore", (SHORT + FULL) / 2), ("zero", (SHORT + BEHIND + FULL) / 2)],
)
@pytest.mark.parametrize("length_weight", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("length_head", [False, True])
def test_loss_is_the_hand_computed_one(after_stop, characters, length_weight, length_head):
    objective = ce_stop(after_stop=after_stop, length_weight=length_weight)
    lengths = torch.tensor(LENGTH_SCORES) if length_head else None
    parts = objective.loss(Scores(torch.tensor(SCORES), lengths), objective.encode(TEXTS))
    assert parts["characters"].item() == pytest.approx(characters, rel=1e-5)
    total = characters
    if length_head:
        assert parts["length"].item() == pytest.approx(LENGTH, rel=1e-5)
        total += length_weight * LENGTH
    assert parts["total"].item() == pytest.approx(total, rel=1e-5)
    assert set(parts) == {"total", "characters"} | ({"length"} if length_head else set())


def test_defaults_ignore_what_is_behind_the_stop_and_weigh_the_length_fully():
    objective = ce_stop()
    scores = Scores(torch.tensor(SCORES), torch.tensor(LENGTH_SCORES))
    parts = objective.loss(scores, objective.encode(TEXTS))
    assert parts["total"].item() == pytest.approx((SHORT + FULL) / 2 + LENGTH, rel=1e-5)


@pytest.mark.parametrize(("after_stop", "counts"), [("ignore", False), ("zero", True)])
def test_gradient_reaches_positions_behind_the_stop_only_where_they_count(after_stop, counts):
    objective = ce_stop(after_stop=after_stop)
    scores = torch.tensor(SCORES, requires_grad=True)
    objective.loss(Scores(scores), objective.encode(TEXTS))["total"].backward()
    reached = scores.grad.abs().amax(dim=-1) > 0
    assert reached.tolist() == [[True, True, counts], [True, True, True]]


@pytest.mark.parametrize("after_stop", ["ignore", "zero"])
def test_ignored_positions_may_hold_any_class(after_stop):
    objective = ce_stop(after_stop=after_stop)
    classes, lengths = objective.encode(TEXTS)
    other = classes.clone()
    other[0, 2] = 1
    first, second = (
        objective.loss(Scores(torch.tensor(SCORES)), Targets(c, lengths))["total"].item()
        for c in (classes, other)
    )
    assert (first == second) == (after_stop == "ignore")


def test_encode_writes_characters_then_the_stop_then_class_zero():
    objective = ce_stop(DIGITS, max_length=5)
    classes, lengths = objective.encode(["7", "-1.5", "90210"])
    assert classes.dtype == lengths.dtype == torch.int64
    assert lengths.tolist() == [1, 4, 5]
    assert classes.tolist() == [
        [7, 12, 0, 0, 0],
        [11, 1, 10, 5, 12],
        [9, 0, 2, 1, 0],  # fills all positions: no stop
    ]


@pytest.mark.parametrize("text", ["", "1234"])
def test_a_label_that_has_no_place_is_refused(text):
    objective = ce_stop(DIGITS, max_length=3)
    with pytest.raises(CannotLearnError, match=f"1 to 3 characters .* has {len(text)}: "):
        objective.check(text, 3)
    with pytest.raises(CannotLearnError, match="max_length"):
        objective.encode(["12", text])


@pytest.mark.parametrize("text", ["1", "123"])
def test_a_label_of_one_to_all_positions_is_accepted(text):
    ce_stop(DIGITS, max_length=3).check(text, 3)


def test_encode_refuses_a_character_outside_the_charset():
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own
        ce_stop(DIGITS).encode(["1,5"])


def test_head_sizes():
    assert ce_stop(DIGITS, max_length=7).num_classes == 13
    assert ce_stop(DIGITS, max_length=7).length_classes == 7
    assert ce_stop(DIGITS, max_length=7, length_weight=0.0).length_classes == 0


def log_scores(rows):
    """Scores whose softmax is these probabilities, shifted to be no log-probabilities."""
    return Scores(torch.tensor([rows]).log() + 3.0)


@pytest.mark.parametrize(
    ("rows", "text", "confidence"),
    [
        # The stop counts, what is behind it does not, be it a character or another stop.
        ([[0.7, 0.2, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]], "7", 0.7 * 0.6),
        ([[0.2, 0.5, 0.3], [0.3, 0.1, 0.6], [0.1, 0.1, 0.8]], "3", 0.5 * 0.6),
        ([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]], "73", 0.7 * 0.8 * 0.6),
        ([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.5, 0.4]], "733", 0.7 * 0.8 * 0.5),
        ([[0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.1, 0.5, 0.4]], "", 0.6),
    ],
)
def test_decode_ends_at_the_first_stop_with_the_product_up_to_it(rows, text, confidence):
    (reading,) = ce_stop().decode(log_scores(rows))
    assert reading.text == text
    assert reading.confidence == pytest.approx(confidence, rel=1e-5)


def test_batch_is_read_row_by_row():
    rows = [
        [[0.7, 0.2, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]],
        [[0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.1, 0.5, 0.4]],
    ]
    objective = ce_stop()
    together = objective.decode(Scores(torch.cat([log_scores(row).steps for row in rows])))
    assert together == [objective.decode(log_scores(row))[0] for row in rows]


def test_no_scores_give_no_readings():
    assert ce_stop().decode(Scores(torch.zeros((0, 3, 3)))) == []


@given(st.lists(st.text(alphabet=DIGITS, min_size=1, max_size=6), min_size=1, max_size=5))
def test_decode_is_the_inverse_of_encode(texts):
    objective = ce_stop(DIGITS, max_length=6)
    classes = objective.encode(texts).classes
    height = 4.0
    scores = Scores(height * torch.eye(objective.num_classes)[classes])
    readings = objective.decode(scores)
    assert [reading.text for reading in readings] == texts
    step = math.exp(height) / (math.exp(height) + objective.num_classes - 1)
    for text, reading in zip(texts, readings, strict=True):
        # Of all positions only those up to the stop count, and a full label has no stop.
        assert reading.confidence == pytest.approx(step ** min(len(text) + 1, 6), rel=1e-5)


@given(st.text(alphabet=DIGITS, min_size=1, max_size=6))
def test_a_sure_and_right_model_has_no_loss(text):
    objective = ce_stop(DIGITS, max_length=6)
    targets = objective.encode([text])
    scores = 50 * torch.eye(objective.num_classes)[targets.classes]
    lengths = 50 * torch.eye(6)[[len(text) - 1]]
    parts = objective.loss(Scores(scores, lengths), targets)
    assert parts["total"].item() == pytest.approx(0, abs=1e-6)


def test_the_published_loss_step_by_step():
    """As its notebook has it: a sum over ten steps of batch means, all counted, and the length."""
    texts = ["7", "10", "-3.5", "22", "123456789"]
    stream = torch.Generator().manual_seed(4)
    steps = torch.randn(5, 10, 13, generator=stream, dtype=torch.float64)
    lengths = torch.randn(5, 10, generator=stream, dtype=torch.float64)
    total = 0.0
    for step in range(10):
        of_step = 0.0
        for row, text in enumerate(texts):
            filled = [DIGITS.index(c) for c in text] + [12] + [0] * 10
            of_step += minus_log_p(steps[row, step].tolist(), filled[step])
        total += of_step / len(texts)
    total += sum(
        minus_log_p(lengths[row].tolist(), len(text) - 1) for row, text in enumerate(texts)
    ) / len(texts)
    objective = ce_stop(DIGITS, max_length=10, after_stop="zero")
    parts = objective.loss(Scores(steps, lengths), objective.encode(texts))
    assert parts["total"].item() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(("smoothing", "gamma"), [(0.1, 0.0), (0.0, 2.0), (0.3, 0.5)])
def test_smoothing_and_focus_are_the_hand_computed_ones(smoothing, gamma):
    def term(scores, wanted):
        spread = sum(minus_log_p(scores, c) for c in range(3)) / 3
        loss = (1 - smoothing) * minus_log_p(scores, wanted) + smoothing * spread
        return (1 - math.exp(-minus_log_p(scores, wanted))) ** gamma * loss

    by_hand = term(SCORES[0][0], 1) + term(SCORES[0][1], 2)
    by_hand += sum(term(SCORES[1][i], c) for i, c in enumerate([0, 1, 0]))
    objective = ce_stop(label_smoothing=smoothing, focal_gamma=gamma)
    scores = Scores(torch.tensor(SCORES), torch.tensor(LENGTH_SCORES))
    parts = objective.loss(scores, objective.encode(TEXTS))
    assert parts["characters"].item() == pytest.approx(by_hand / 2, rel=1e-5)
    assert parts["length"].item() == pytest.approx(LENGTH, rel=1e-5)  # neither is for the length


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_certain_position_has_a_focal_gradient_that_is_a_number(gamma):
    objective = ce_stop(focal_gamma=gamma)
    targets = objective.encode(["73"])
    scores = (200 * torch.eye(3)[targets.classes]).requires_grad_()
    objective.loss(Scores(scores), targets)["total"].backward()
    assert scores.grad.isfinite().all()


def by_length(probabilities, lengths):
    """The best text of all, and its probability: every length and every character tried."""
    best = ("", 0.0)
    for length in range(1, len(probabilities) + 1):
        for classes in product(range(2), repeat=length):
            p = lengths[length - 1]
            for row, c in zip(probabilities, classes, strict=False):
                p *= row[c] / (row[0] + row[1])  # given that it is a character
            if p > best[1]:
                best = ("".join("73"[c] for c in classes), p)
    return best


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.3, "focal_gamma": 2.0}])
def test_log_probability_is_that_of_the_characters_and_the_stop(options):
    objective = ce_stop(length_weight=0.5, **options)
    # The length head is there and is not read.
    scores = Scores(torch.tensor(SCORES)[[0, 1, 0, 1]], torch.tensor(LENGTH_SCORES)[[0, 1, 0, 1]])
    found = objective.log_probability(scores, [*TEXTS, "", "7373"])
    by_hand = [-SHORT, -FULL, -minus_log_p(SCORES[0][0], 2), -math.inf]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-6)


def test_log_probability_of_a_classifier_without_a_stop_is_that_of_its_class():
    objective = ce_stop(max_length=1)
    row = [0.5, 1.5]
    found = objective.log_probability(Scores(torch.tensor([[row]] * 4)), ["7", "3", "", "73"])
    by_hand = [-minus_log_p(row, 0), -minus_log_p(row, 1), -math.inf, -math.inf]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-6)


def test_log_probability_by_length_is_that_of_the_length_and_the_characters():
    objective = ce_stop(read_length=True)
    scores = Scores(torch.tensor(SCORES)[[0, 1, 0, 1]], torch.tensor(LENGTH_SCORES)[[0, 1, 0, 1]])
    found = objective.log_probability(scores, [*TEXTS, "", "7373"])
    # Given that each is a character.
    full = sum(minus_log_p(SCORES[1][i][:2], c) for i, c in enumerate([0, 1, 0]))
    by_hand = [
        -minus_log_p(SCORES[0][0][:2], 1) - minus_log_p(LENGTH_SCORES[0], 0),
        -full - minus_log_p(LENGTH_SCORES[1], 2),
    ]
    assert found.tolist() == pytest.approx([*by_hand, -math.inf, -math.inf], rel=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_read_length_finds_the_most_probable_text_of_all_lengths(seed):
    stream = torch.Generator().manual_seed(seed)
    steps = 2 * torch.randn(3, 3, generator=stream)
    lengths = 2 * torch.randn(3, generator=stream)
    objective = ce_stop(read_length=True)
    (reading,) = objective.decode(Scores(steps[None], lengths[None]))
    text, p = by_length(steps.softmax(dim=-1).tolist(), lengths.softmax(dim=-1).tolist())
    assert reading.text == text
    assert reading.confidence == pytest.approx(p, rel=1e-5)


def test_read_length_reads_on_where_the_stop_would_end_and_ends_where_it_would_not():
    rows = [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]
    steps = log_scores(rows).steps
    for wanted, text in enumerate(["3", "37", "377"]):
        lengths = 9 * torch.eye(3)[[wanted]]
        (reading,) = ce_stop(read_length=True).decode(Scores(steps, lengths))
        assert reading.text == text
        (stopped,) = ce_stop().decode(Scores(steps, lengths))
        assert stopped.text == ""


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"length_weight": -1.0}, "length_weight"),
        ({"focal_gamma": math.nan}, "focal_gamma"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"read_length": True, "length_weight": 0.0}, "read_length .* length_weight"),
    ],
)
def test_options_without_a_meaning_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        ce_stop(**options)
