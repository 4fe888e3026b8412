"""What every objective and every decoder has to keep, found by themselves: no list to extend."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import losses
import models
from losses.base import Objective, Reading, Targets, register

CHARSET = "0123456789.-"
MAX_LENGTH = 6
HEIGHT, WIDTH, STRIDE = 32, 64, 4
LABELS = ["7", "42", "1.5", "-3", "100", "2024", "-0.66", "918273"]

ARMS = [
    pytest.param(loss, decoder, id=f"{loss}-{decoder}")
    for loss, objective in losses.OBJECTIVES.items()
    for decoder, reader in models.DECODERS.items()
    if reader.layout == objective.layout
]
every_arm = pytest.mark.parametrize(("loss", "decoder"), ARMS)
cheap_backbones = pytest.mark.parametrize("backbone", ["small_cnn", "mobilenet_v3_small"])

# Parameters that no gradient can reach: a softmax over the columns does not see what is added to
# all of them alike.
UNSEEN = {"attention.bias"}


def make(loss, decoder, backbone="small_cnn", seed=0):
    objective = losses.OBJECTIVES[loss](charset=CHARSET, max_length=MAX_LENGTH)
    torch.manual_seed(seed)
    outputs = models.Outputs(objective.num_classes, objective.length_classes, MAX_LENGTH)
    return objective, models.build(backbone, STRIDE, decoder, outputs)


def drawn(labels):
    """Images (N, 1, H, W) in 0..1: a random 16 x 8 glyph a character, from left to right."""
    stream = torch.Generator().manual_seed(11)
    glyphs = (torch.rand(len(CHARSET), 16, 8, generator=stream) < 0.5).float()
    images = torch.full((len(labels), 1, HEIGHT, WIDTH), 0.1)
    for image, label in zip(images, labels, strict=True):
        for place, character in enumerate(label):
            at = slice(2 + 10 * place, 10 + 10 * place)
            image[0, 8:24, at] = glyphs[CHARSET.index(character)]
    return (images + 0.05 * torch.rand(images.shape, generator=stream)).clamp(0, 1)


def train_step(model, objective, images, labels):
    """The parts of the loss, with the labels as teacher input."""
    targets = objective.encode(labels)
    scores, lengths = model.train()(images, targets.classes)
    return objective.loss(scores, targets, lengths)


def evaluate(model, images):
    """Scores and length scores, without teacher."""
    with torch.inference_mode():
        return model.eval()(images)


def test_every_layout_has_an_arm():
    assert {arm.values[0] for arm in ARMS} == set(losses.OBJECTIVES)
    assert {arm.values[1] for arm in ARMS} == set(models.DECODERS)
    for objective in losses.OBJECTIVES.values():
        assert models.DECODERS[models.default_decoder(objective.layout)].layout == objective.layout


@every_arm
@cheap_backbones
@pytest.mark.parametrize("channels", [1, 3])
def test_scores_have_the_declared_shapes(loss, decoder, backbone, channels):
    objective, model = make(loss, decoder, backbone)
    images = torch.rand(5, channels, HEIGHT, WIDTH)
    teacher = objective.encode(LABELS[:5]).classes
    steps = {"columns": WIDTH // STRIDE, "slots": MAX_LENGTH}[objective.layout]
    for scores, lengths in (model.train()(images, teacher), evaluate(model, images)):
        assert scores.shape == (5, steps, objective.num_classes)
        assert scores.isfinite().all()
        if objective.length_classes:
            assert lengths.shape == (5, objective.length_classes)
        else:
            assert lengths is None


@every_arm
def test_steps_are_counted_without_a_trace(loss, decoder):
    objective, model = make(loss, decoder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for width in (WIDTH, 2 * WIDTH):
        counted = models.count_steps(model.train(), (1, HEIGHT, width))
        assert model.training
        assert counted == {"columns": width // STRIDE, "slots": MAX_LENGTH}[objective.layout]
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    models.count_steps(model.eval(), (3, HEIGHT, WIDTH))
    assert not model.training


@pytest.mark.parametrize("decoder", models.DECODERS)
def test_hidden_is_the_width_asked_for_or_the_decoders_own(decoder):
    own = models.DECODERS[decoder].default_hidden
    sizes = {}
    for hidden in (None, own, 16):
        model = models.build("small_cnn", STRIDE, decoder, models.Outputs(13), hidden=hidden)
        assert model.hidden == (hidden or own)
        sizes[hidden] = models.count_parameters(model)
    assert sizes[None] == sizes[own] > sizes[16]


@every_arm
@cheap_backbones
def test_loss_is_finite_in_training_and_evaluation(loss, decoder, backbone):
    objective, model = make(loss, decoder, backbone)
    images = drawn(LABELS)
    trained = train_step(model, objective, images, LABELS)
    scores, lengths = evaluate(model, images)
    for parts in (trained, objective.loss(scores, objective.encode(LABELS), lengths)):
        assert "total" in parts
        assert all(value.shape == () and value.isfinite() for value in parts.values())
        assert parts["total"] > 0
    assert trained["total"].requires_grad


def use_running_statistics(norm, _inputs):
    norm.eval()


def unreached(model, objective):
    """The parameters that a training step has no gradient for."""
    model.zero_grad()
    # Double precision tells a gradient that is small from one that is rounding of zero.
    train_step(model.double(), objective, drawn(LABELS).double(), LABELS)["total"].backward()
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-12
    }


@every_arm
@cheap_backbones
def test_gradients_reach_every_parameter(loss, decoder, backbone):
    objective, model = make(loss, decoder, backbone)
    missed = unreached(model, objective)
    # The statistics of the batch take out every shift that reaches them through linear layers
    # alone, as from MobileNet's linear bottlenecks; fixed statistics let it through.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(use_running_statistics)
    assert missed & unreached(model, objective) <= UNSEEN
    assert models.count_parameters(model) == sum(p.numel() for p in model.parameters())


@every_arm
@cheap_backbones
def test_every_sample_has_a_reading_of_the_charset_and_its_confidence(loss, decoder, backbone):
    objective, model = make(loss, decoder, backbone)
    scores, _ = evaluate(model, drawn(LABELS))
    # The untrained scores are nearly alike: the others make long and sure readings too.
    for factor in (1, 30, 1000):
        noisy = factor * (scores + 0.2 * torch.randn(scores.shape))
        readings = objective.decode(noisy)
        assert len(readings) == len(LABELS)
        for reading in readings:
            assert set(reading.text) <= set(CHARSET)
            assert 0 <= reading.confidence <= 1
            assert len(reading.text) <= scores.shape[1]


@every_arm
@cheap_backbones
def test_evaluation_is_deterministic_and_reads_each_image_by_itself(loss, decoder, backbone):
    objective, model = make(loss, decoder, backbone)
    images = drawn(LABELS)
    train_step(model, objective, images, LABELS)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, first_lengths = evaluate(model, images)
    torch.manual_seed(123)  # whatever is drawn must not matter
    second, second_lengths = evaluate(model, images)
    assert torch.equal(first, second)
    assert first_lengths is second_lengths or torch.equal(first_lengths, second_lengths)
    assert objective.decode(first) == objective.decode(second)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    alone = torch.cat([evaluate(model, image[None])[0] for image in images])
    torch.testing.assert_close(alone, first, rtol=1e-3, atol=1e-4)


@every_arm
@cheap_backbones
def test_weights_survive_a_file(loss, decoder, backbone, tmp_path):
    objective, model = make(loss, decoder, backbone)
    images = drawn(LABELS)
    train_step(model, objective, images, LABELS)  # gives the batch statistics values of their own
    expected, expected_lengths = evaluate(model, images)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")

    _, fresh = make(loss, decoder, backbone, seed=1)
    assert not torch.equal(evaluate(fresh, images)[0], expected)
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    scores, lengths = evaluate(fresh, images)
    assert torch.equal(scores, expected)
    assert lengths is expected_lengths or torch.equal(lengths, expected_lengths)


@every_arm
def test_a_label_that_is_too_long_is_refused_and_one_that_fits_is_not(loss, decoder):
    objective, model = make(loss, decoder)
    steps = models.count_steps(model, (1, HEIGHT, WIDTH))
    longest = ("01" * steps)[:steps]
    objective.check("0", steps)
    objective.check(longest, steps)
    with pytest.raises(losses.CannotLearnError, match=longest + "0"):
        objective.check(longest + "0", steps)


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


def steps_to_overfit(loss, decoder, most=300):
    """After how many steps all eight are read exactly; None if they never are."""
    objective, model = make(loss, decoder)
    images = drawn(LABELS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(1, most + 1):
        total = train_step(model, objective, images, LABELS)["total"]
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 10 == 0:
            scores, _ = evaluate(model, images)
            if [reading.text for reading in objective.decode(scores)] == LABELS:
                return step
    return None


@every_arm
def test_eight_images_are_learnt_by_heart(loss, decoder):
    assert steps_to_overfit(loss, decoder) is not None


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

        def check(self, text, steps):
            if len(text) > steps:
                raise losses.CannotLearnError(text)

        def encode(self, texts):
            classes = torch.full((len(texts), self.max_length), len(self.charset))
            for row, text in zip(classes, texts, strict=True):
                row[: len(text)] = torch.tensor(self.classes_of(text))
            return Targets(classes, torch.tensor([len(text) for text in texts]))

        def loss(self, scores, targets, length_scores=None):  # noqa: ARG002
            wanted = F.one_hot(targets.classes, self.num_classes)
            error = (scores.softmax(dim=-1) - wanted).square().sum(dim=(1, 2)).mean()
            return {"total": self.weight * error, "brier": error}

        def decode(self, scores):
            sure, classes = scores.softmax(dim=-1).max(dim=-1)
            return [
                Reading("".join((*self.charset, "")[c] for c in row), math.prod(probabilities))
                for row, probabilities in zip(classes.tolist(), sure.tolist(), strict=True)
            ]

    yield "toy"
    del losses.OBJECTIVES["toy"]


def test_a_new_loss_is_one_new_class(toy, tmp_path):
    assert losses.OBJECTIVES[toy].option_defaults() == {"weight": 1.0}
    test_options_have_defaults_that_are_what_is_built(toy)
    test_targets_have_a_row_and_a_length_a_label(toy)
    fitting = [name for name, reader in models.DECODERS.items() if reader.layout == "slots"]
    assert fitting[0] == models.default_decoder(losses.OBJECTIVES[toy].layout)
    for decoder in fitting:
        test_scores_have_the_declared_shapes(toy, decoder, "small_cnn", 1)
        test_loss_is_finite_in_training_and_evaluation(toy, decoder, "small_cnn")
        test_gradients_reach_every_parameter(toy, decoder, "small_cnn")
        test_every_sample_has_a_reading_of_the_charset_and_its_confidence(toy, decoder, "small_cnn")
        test_weights_survive_a_file(toy, decoder, "small_cnn", tmp_path)
        test_a_label_that_is_too_long_is_refused_and_one_that_fits_is_not(toy, decoder)


def test_a_new_loss_can_be_learnt(toy):
    assert steps_to_overfit(toy, models.default_decoder("slots")) is not None


def test_the_toy_is_gone_again():
    assert "toy" not in losses.OBJECTIVES


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_a_name_is_given_once(name):
    before = dict(losses.OBJECTIVES)
    with pytest.raises(ValueError, match=f"two objectives are called '{name}'"):
        register(name)(next(iter(before.values())))
    assert before == losses.OBJECTIVES
