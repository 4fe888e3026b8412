"""A new loss is one new class: it meets every contract without being named anywhere else."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

import losses
import models
import tests.losses.test_objectives as objectives
import tests.test_contracts as contracts
from losses.base import Objective, Spelling, Targets, register
from losses.best_first import by_position
from tests.arms import Arm, arms_of, steps_to_overfit


@pytest.fixture
def toy():
    """A loss of its own kind, known for one test."""

    @register("toy")
    @dataclass(frozen=True, kw_only=True)
    class Brier(Objective):
        """Squared error of the probabilities, the end of the text being a class."""

        weight: float = 1.0

        layout = "slots"

        @property
        def num_classes(self):
            return len(self.charset) + 1

        def check(self, text, steps, columns=0):  # noqa: ARG002
            if len(text) > steps:
                raise losses.CannotLearnError(text)

        def encode(self, texts):
            classes = torch.full((len(texts), self.max_length), len(self.charset))
            for row, text in zip(classes, texts, strict=True):
                row[: len(text)] = torch.tensor(self.classes_of(text))
            return Targets(classes, torch.tensor([len(text) for text in texts]))

        def loss(self, scores, targets):
            wanted = F.one_hot(targets.classes, self.num_classes)
            error = (scores.steps.softmax(dim=-1) - wanted).square().sum(dim=(1, 2)).mean()
            return {"total": self.weight * error, "brier": error}

        def spell(self, scores):
            log_p, classes = scores.steps.double().log_softmax(dim=-1).max(dim=-1)
            ended = (classes == len(self.charset)).long().cumsum(dim=1) > 0
            ends = scores.steps.double().log_softmax(dim=-1)[..., -1]
            confidence = torch.where(ended, ends, log_p).sum(dim=1).exp()
            return Spelling(torch.where(ended, -1, classes), log_p.exp(), confidence)

        def log_probability(self, scores, texts):
            classes = self.encode(texts).classes
            log_p = scores.steps.double().log_softmax(dim=-1)
            return log_p.gather(2, classes[..., None]).sum(dim=(1, 2))

        def prefixes(self, scores):
            log_p = scores.steps.double().log_softmax(dim=-1)
            ends = log_p[..., -1].flip(1).cumsum(dim=1).flip(1)
            return by_position(log_p[..., :-1], F.pad(ends, (0, 1)))

    yield "toy"
    del losses.OBJECTIVES["toy"]


@pytest.mark.slow
def test_a_new_loss_is_one_new_class(toy, tmp_path):
    assert losses.OBJECTIVES[toy].option_defaults() == {"weight": 1.0}
    objectives.test_options_have_defaults_that_are_what_is_built(toy)
    objectives.test_targets_have_a_row_and_a_length_a_label(toy)
    objectives.test_scores_that_the_loss_is_content_with_read_as_the_labels(toy, {})
    found = [arm for arm in arms_of(toy) if not arm.options]
    fitting = [name for name, reader in models.DECODERS.items() if reader.layout == "slots"]
    assert [arm.decoder for arm in found] == fitting
    for arm in found:
        contracts.test_scores_have_the_declared_shapes(arm, 1)
        contracts.test_loss_is_finite_in_training_and_evaluation(arm)
        contracts.test_gradients_reach_every_parameter(arm)
        contracts.test_every_sample_has_a_reading_of_the_charset_and_its_confidence(arm)
        contracts.test_the_confidence_of_a_reading_is_the_probability_of_its_text(arm)
        contracts.test_weights_survive_a_file(arm, tmp_path)
        contracts.test_a_label_that_is_too_long_is_refused_and_one_that_fits_is_not(arm)


@pytest.mark.slow
def test_a_new_loss_can_be_learnt(toy):
    assert steps_to_overfit(Arm(toy, {}, models.default_decoder("slots"))) is not None


def test_the_toy_is_gone_again():
    assert "toy" not in losses.OBJECTIVES
