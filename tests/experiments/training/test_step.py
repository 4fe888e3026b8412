"""A step against the same step written out."""

import copy

import pytest
import torch
from torch.optim import SGD

from experiments.training.build import build
from experiments.training.step import DivergedError, Step, disagreement


def test_a_step_is_the_one_that_a_textbook_has(training_set, epoch_batches):
    config, *_ = training_set
    config = config.model_copy(update={"clip_norm": 0.5})
    (batch, *_) = epoch_batches(*training_set)
    model, objective = build(config)
    plain = copy.deepcopy(model).to(memory_format=torch.channels_last)
    torch.manual_seed(5)  # of the dropout
    values = Step(config, model, objective, SGD(model.parameters(), lr=0.1))(batch)
    torch.manual_seed(5)
    loss = objective.loss(plain.train()(batch.inputs, batch.targets.classes), batch.targets)
    loss["total"].backward()
    gradients = torch.cat([p.grad.flatten() for p in plain.parameters()])
    assert gradients.norm() > 0.5  # otherwise nothing is clipped here
    factor = 0.5 / float(gradients.norm())
    assert values["total"] == pytest.approx(loss["total"].item())
    for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other - 0.1 * factor * other.grad, rtol=1e-4, atol=1e-6)


def test_disagreement_is_the_divergence_either_way_and_pulls_each_view_to_the_other():
    steps = torch.randn((2 * 3, 4, 5), generator=torch.Generator().manual_seed(1))
    one, other = (torch.distributions.Categorical(logits=view) for view in steps.double().chunk(2))
    wanted = sum(
        torch.distributions.kl_divergence(*pair).sum() for pair in ((one, other), (other, one))
    ) / len(steps)
    assert disagreement(steps).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert disagreement(steps[:3].repeat(2, 1, 1)).item() == pytest.approx(0, abs=1e-6)
    moved = steps.clone().requires_grad_()
    disagreement(moved).backward()
    # The gradient of KL(q || softmax(x)) by x is softmax(x) - q, here a mean over the six.
    first, second = steps.softmax(dim=-1).chunk(2)
    expected = torch.cat([first - second, second - first]) / len(steps)
    torch.testing.assert_close(moved.grad, expected, rtol=1e-4, atol=1e-6)


def test_the_loss_of_two_views_is_their_mean_and_how_far_they_are_apart(
    training_set, epoch_batches, small_run
):
    config, *rest = training_set
    views = {"consistency": 0.7, "augmentation.name": "strong"}
    config = small_run(views)
    (batch, *_) = epoch_batches(config, *rest)
    model, objective = build(config)
    plain = copy.deepcopy(model).to(memory_format=torch.channels_last)
    torch.manual_seed(5)  # of the dropout
    values = Step(config, model, objective, SGD(model.parameters(), lr=0.1))(batch)
    torch.manual_seed(5)
    scores = plain.train()(batch.inputs, batch.targets.classes)
    loss = objective.loss(scores, batch.targets)["total"].item()
    apart = disagreement(scores.steps).item()
    assert apart > 0
    assert values["consistency"] == pytest.approx(apart, rel=1e-4)
    assert values["total"] == pytest.approx(loss + 0.7 * apart, rel=1e-4)


class Spoilt:
    """An objective whose loss, or its gradient, is no finite number."""

    def __init__(self, objective, factor):
        self._objective, self._factor = objective, factor

    def loss(self, scores, targets):
        return {"total": self._factor(self._objective.loss(scores, targets)["total"])}


@pytest.mark.parametrize(
    "factor",
    [
        pytest.param(lambda loss: loss * float("nan"), id="loss nan"),
        pytest.param(lambda loss: loss / 0, id="loss inf"),
        # sqrt(0) is 0 and its slope is infinite.
        pytest.param(lambda loss: (loss - loss.detach()).sqrt(), id="gradient"),
    ],
)
def test_a_loss_or_gradient_that_is_no_number_stops_before_the_weights_change(
    training_set, factor, epoch_batches
):
    config, *_ = training_set
    (batch, *_) = epoch_batches(*training_set)
    model, objective = build(config)
    before = copy.deepcopy(list(model.parameters()))
    step = Step(config, model, Spoilt(objective, factor), SGD(model.parameters(), lr=0.1))
    with pytest.raises(DivergedError, match=r"lower the learning rate \(optimizer.max_lr=0.003\)"):
        step(batch)
    assert all(map(torch.equal, model.parameters(), before))
