"""The most probable texts, against all texts that there are."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import losses
import models
from losses import best_first
from losses.best_first import Anything
from losses.number_format import AllowedValues, NumberFormat
from tests.losses.test_objectives import EVERY_VARIANT

STEPS, CHARACTERS = 4, "7.-"
# Every text that four steps have room for.
TEXTS = ["".join(t) for length in range(STEPS + 1) for t in product(CHARACTERS, repeat=length)]
GRAMMARS = [
    Anything(),
    NumberFormat(),
    NumberFormat(sign="always", decimals=(1, 1)),
    NumberFormat(low=-7, high=7.7),
    AllowedValues(frozenset({"7", "77", "-7"})),
]


def scores_of(objective, images, sharpness, seed):
    sizes = [
        (STEPS, objective.num_classes),
        (objective.length_classes,),
        (STEPS, objective.column_classes),
    ]
    stream = torch.Generator().manual_seed(seed)
    return models.Scores(
        *(
            sharpness * torch.randn(images, *size, generator=stream) if all(size) else None
            for size in sizes
        )
    )


@pytest.mark.parametrize(("loss", "options"), EVERY_VARIANT)
@given(
    sharpness=st.sampled_from([0.0, 1.0, 5.0, 20.0]),
    seed=st.integers(0, 2**16),
    wanted=st.integers(1, 5),
    grammar=st.sampled_from(GRAMMARS),
)
@settings(max_examples=20)
def test_they_are_those_that_a_look_at_every_text_finds(
    loss, options, sharpness, seed, wanted, grammar
):
    objective = losses.OBJECTIVES[loss](charset=CHARACTERS, max_length=STEPS, **options)
    scores = scores_of(objective, 2, sharpness, seed)
    for image, found in enumerate(objective.best_texts(scores, wanted, grammar)):
        alone = models.Scores(
            *(None if s is None else s[image].expand(len(TEXTS), *s.shape[1:]) for s in scores)
        )
        every = objective.log_probability(alone, TEXTS).tolist()
        of_text = dict(zip(TEXTS, every, strict=True))
        best = sorted((p for t, p in of_text.items() if grammar.fits(t) and p > -745), reverse=True)
        assert [log_p for _, log_p in found] == pytest.approx(best[:wanted], abs=1e-5, rel=1e-6)
        for text, log_p in found:
            assert grammar.fits(text)
            assert log_p == pytest.approx(of_text[text], abs=1e-5, rel=1e-6)
        assert len({text for text, _ in found}) == len(found)


@pytest.mark.parametrize(("loss", "options"), EVERY_VARIANT)
def test_what_is_read_without_a_grammar_is_the_first_where_it_is_likely(loss, options):
    objective = losses.OBJECTIVES[loss](charset=CHARACTERS, max_length=STEPS, **options)
    scores = scores_of(objective, 200, 6, 0)
    readings = objective.decode(scores)
    sure = [i for i, reading in enumerate(readings) if reading.confidence > 0.5]
    assert len(sure) > 20
    found = objective.best_texts(scores, 1)
    for i in sure:
        assert found[i][0].text == readings[i].text
        assert math.exp(found[i][0].log_p) == pytest.approx(readings[i].confidence, rel=1e-4)


def test_a_search_that_is_out_of_its_depth_ends(monkeypatch):
    monkeypatch.setattr(best_first, "_MOST", 50)
    objective = losses.OBJECTIVES["ctc"](charset="0123456789", max_length=40)
    scores = models.Scores(torch.zeros(1, 40, 11), None, None)
    assert objective.best_texts(scores, 1, AllowedValues(frozenset({"9" * 30}))) == [[]]
