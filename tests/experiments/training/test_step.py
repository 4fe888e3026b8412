"""A step against the same step written out, and the batches that it is given."""

import copy

import pytest
import torch
from torch.optim import SGD

from experiments.data.splits import learning_split
from experiments.search import range_test as range_test_module
from experiments.search.range_test import range_test
from experiments.settings.config import run_config
from experiments.training.build import build
from experiments.training.epochs import Epochs, count_batches
from experiments.training.run import load_data
from experiments.training.step import DivergedError, Step, disagreement

SETTINGS = {"batch_size": 8, "width_stride": 8, "hidden": 16, "augmentation": "none"}


@pytest.fixture(scope="module")
def given(make_cells, tmp_path_factory):
    """Settings, and the images and labels to learn from."""
    config = run_config(SETTINGS, {"image.height": 16, "image.width": 80})
    images = load_data(config, make_cells(train=28, val=8), tmp_path_factory.mktemp("out"))
    split = learning_split(images, config)
    return config, images, split


def batches(config, images, split, epoch=0):
    shown = Epochs(config, images, split.train, *build(config), torch.device("cpu"))
    return list(shown.batches(epoch))


def test_a_step_is_the_one_that_a_textbook_has(given):
    config, *_ = given
    config = config.model_copy(update={"clip_norm": 0.5})
    (batch, *_) = batches(*given)
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


def test_an_epoch_shows_each_image_at_most_once_in_an_order_of_its_own(given):
    config, images, split = given
    epoch, again, other = (batches(*given, epoch=number) for number in (0, 0, 1))
    assert len(epoch) == count_batches(config, len(split.train)) == len(split.train) // 8
    shown = torch.cat([batch.inputs for batch in epoch])
    assert torch.equal(shown, torch.cat([batch.inputs for batch in again]))
    assert not torch.equal(shown, torch.cat([batch.inputs for batch in other]))
    known = [image.numpy().tobytes() for image in images.pixels[list(split.train)].float() / 255]
    seen = [image.numpy().tobytes() for image in shown]
    assert all(seen.count(image) <= known.count(image) for image in seen)
    # Each image comes with its own label.
    texts = {pixels: set() for pixels in known}
    for pixels, index in zip(known, split.train, strict=True):
        texts[pixels].add(images.rows[index].label)
    objective = config.objective()
    for batch in epoch:
        for number, image in enumerate(batch.inputs):
            classes = batch.targets.classes[number, : batch.targets.lengths[number]]
            own = [objective.encode([t]).classes[0] for t in texts[image.numpy().tobytes()]]
            assert any(torch.equal(classes, one) for one in own)


def test_two_views_are_moved_alike_and_are_else_of_their_own(given):
    config, images, split = given
    still = {"degrees": 0, "translate": 0, "scale": (1, 1), "shear": 0, "elastic": 0}
    greys = {"contrast": 0, "noise": 0, "erasing": 0}

    def views(strengths):
        settings = {"consistency": 0.2, "augmentation": {"name": "strong"} | strengths}
        chosen = run_config(SETTINGS, {"image.height": 16, "image.width": 80} | settings)
        return batches(chosen, images, split)

    for batch in views(greys):  # only moved
        first, second = batch.inputs.chunk(2)
        torch.testing.assert_close(first, second)
    for batch in views(still):  # only with other greys
        first, second = batch.inputs.chunk(2)
        assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    for batch in views({}):
        assert len(batch.inputs) == 2 * config.batch_size
        for part in batch.targets:
            assert torch.equal(*part.chunk(2))


def test_a_second_view_leaves_the_first_as_it_is(given):
    _, images, split = given
    strong = {"image.height": 16, "image.width": 80, "augmentation": "strong"}
    one = batches(run_config(SETTINGS, strong), images, split)
    two = batches(run_config(SETTINGS, strong | {"consistency": 0.2}), images, split)
    for alone, both in zip(one, two, strict=True):
        assert torch.equal(alone.inputs, both.inputs.chunk(2)[0])


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


def test_the_loss_of_two_views_is_their_mean_and_how_far_they_are_apart(given):
    config, *rest = given
    views = {"consistency": 0.7, "augmentation.name": "strong"}
    config = run_config(SETTINGS, {"image.height": 16, "image.width": 80} | views)
    (batch, *_) = batches(config, *rest)
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
def test_a_loss_or_gradient_that_is_no_number_stops_before_the_weights_change(given, factor):
    config, *_ = given
    (batch, *_) = batches(*given)
    model, objective = build(config)
    before = copy.deepcopy(list(model.parameters()))
    step = Step(config, model, Spoilt(objective, factor), SGD(model.parameters(), lr=0.1))
    with pytest.raises(DivergedError, match=r"lower the learning rate \(optimizer.max_lr=0.003\)"):
        step(batch)
    assert all(map(torch.equal, model.parameters(), before))


def test_the_range_test_learns_from_the_batches_of_training(given, monkeypatch):
    config, images, split = given
    seen = []

    class Spy(Step):
        def __call__(self, batch):
            seen.append(batch.inputs)
            return super().__call__(batch)

    monkeypatch.setattr(range_test_module, "Step", Spy)
    monkeypatch.setattr(range_test_module, "_STEPS", 5)
    range_test(config, images, split)
    expected = [b.inputs for epoch in (0, 1) for b in batches(*given, epoch=epoch)][:5]
    assert len(seen) == len(expected) == 5
    assert all(map(torch.equal, seen, expected))


def test_a_range_test_that_diverges_at_once_says_so(given, monkeypatch):
    config, images, split = given
    monkeypatch.setattr(Step, "__call__", lambda *_: (_ for _ in ()).throw(DivergedError("nan")))
    with pytest.raises(DivergedError):
        range_test(config, images, split)
