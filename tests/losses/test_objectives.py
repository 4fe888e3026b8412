"""What every objective has to keep by itself, without a model."""

from itertools import product

import pytest
import torch

import losses
import models
from losses.base import register
from tests.arms import CHARSET, LABELS, MAX_LENGTH, STRIDE, WIDTH, steps_of, variants

EVERY_VARIANT = [
    pytest.param(loss, options, id="-".join([loss, *(f"{k}={v}" for k, v in options.items())]))
    for loss in losses.OBJECTIVES
    for options in variants(loss)
]


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_options_have_defaults_that_are_what_is_built(loss):
    objective = losses.OBJECTIVES[loss]
    built = objective(charset=CHARSET, max_length=MAX_LENGTH)
    options = objective.option_defaults()
    assert not {"charset", "max_length"} & set(options)
    assert objective(charset=CHARSET, max_length=MAX_LENGTH, **options) == built
    assert all(isinstance(value, bool | float | str) for value in options.values())


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_targets_have_a_row_and_a_length_a_label(loss):
    objective = losses.OBJECTIVES[loss](charset=CHARSET, max_length=MAX_LENGTH)
    classes, lengths = objective.encode(LABELS)
    assert classes.dtype == torch.int64
    assert len(classes) == len(LABELS)
    assert classes.min() >= 0
    assert classes.max() < objective.num_classes
    assert lengths.tolist() == [len(label) for label in LABELS]
    for row, label in zip(classes.tolist(), LABELS, strict=True):
        assert row[: len(label)] == [CHARSET.index(character) for character in label]


@pytest.mark.parametrize(("loss", "options"), EVERY_VARIANT)
def test_scores_that_the_loss_is_content_with_read_as_the_labels(loss, options):
    """No model: the scores themselves go down the loss, and the text has to come out again."""
    objective = losses.OBJECTIVES[loss](charset=CHARSET, max_length=MAX_LENGTH, **options)
    stream = torch.Generator().manual_seed(1)
    sizes = [
        (steps_of(objective), objective.num_classes),
        (objective.length_classes,) if objective.length_classes else None,
        (WIDTH // STRIDE, objective.column_classes) if objective.column_classes else None,
    ]
    scores = models.Scores(
        *(
            None if s is None else torch.randn(len(LABELS), *s, generator=stream).requires_grad_()
            for s in sizes
        )
    )
    targets = objective.encode(LABELS)
    optimizer = torch.optim.Adam([s for s in scores if s is not None], lr=0.2)
    first = objective.loss(scores, targets)["total"].item()
    for _ in range(150):
        optimizer.zero_grad()
        total = objective.loss(scores, targets)["total"]
        total.backward()
        optimizer.step()
    assert total.item() < first
    readings = objective.decode(models.Scores(*(s if s is None else s.detach() for s in scores)))
    assert [reading.text for reading in readings] == LABELS


@pytest.mark.parametrize(("loss", "options"), EVERY_VARIANT)
def test_all_texts_together_are_no_more_than_certain(loss, options):
    """Every text of two characters in three steps, and a few that do not fit."""
    objective = losses.OBJECTIVES[loss](charset="73", max_length=3, **options)
    texts = ["".join(text) for length in range(5) for text in product("73", repeat=length)]
    stream = torch.Generator().manual_seed(5)
    sizes = [(3, objective.num_classes), (objective.length_classes,), (3, objective.column_classes)]
    scores = models.Scores(
        *(
            torch.randn(*size, generator=stream).expand(len(texts), *size) if all(size) else None
            for size in sizes
        )
    )
    found = objective.log_probability(scores, texts)
    assert found.dtype == torch.float64
    assert found.shape == (len(texts),)
    assert 0.5 < found.exp().sum().item() <= 1 + 1e-6
    assert all(p == -torch.inf for p, text in zip(found.tolist(), texts, strict=True) if text[3:])


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_a_name_is_given_once(name):
    before = dict(losses.OBJECTIVES)
    with pytest.raises(ValueError, match=f"two objectives are called '{name}'"):
        register(name)(next(iter(before.values())))
    assert before == losses.OBJECTIVES
