"""What every objective and every decoder has to keep, found by themselves: no list to extend."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import losses
import models
from tests.arms import (
    ARMS,
    CHARSET,
    DEFAULT_ARMS,
    HEIGHT,
    LABELS,
    MODELS,
    ON_MOBILENET,
    STRIDE,
    WIDTH,
    drawn,
    evaluate,
    same,
    steps_of,
    steps_to_overfit,
    train_step,
)


def rare(arms):
    """As parameters; those on the backbone that takes seconds to build are slow."""
    return [
        pytest.param(arm, id=str(arm), marks=pytest.mark.slow if arm in ON_MOBILENET else [])
        for arm in arms
    ]


every_arm = pytest.mark.parametrize("arm", ARMS, ids=str)
every_model = pytest.mark.parametrize("arm", rare(MODELS))
every_arm_on_two_backbones = pytest.mark.parametrize("arm", rare(ARMS + ON_MOBILENET))


def test_every_loss_and_every_decoder_has_an_arm():
    assert {arm.loss for arm in DEFAULT_ARMS} == set(losses.OBJECTIVES)
    assert {arm.decoder for arm in DEFAULT_ARMS} == set(models.DECODERS)
    for loss, objective in losses.OBJECTIVES.items():
        assert models.DECODERS[models.default_decoder(objective.layout)].layout == objective.layout
        # Each of its options is tried with another value than the default.
        tried = {name for arm in ARMS if arm.loss == loss for name in arm.options}
        assert tried == set(objective.option_defaults())


@every_model
@pytest.mark.parametrize("channels", [1, 3])
def test_scores_have_the_declared_shapes(arm, channels):
    objective, model = arm.make(channels=channels)
    images = torch.rand(5, channels, HEIGHT, WIDTH)
    teacher = objective.encode(LABELS[:5]).classes
    expected = [
        (5, steps_of(objective), objective.num_classes),
        (5, objective.length_classes) if objective.length_classes else None,
        (5, WIDTH // STRIDE, objective.column_classes) if objective.column_classes else None,
    ]
    for scores in (model.train()(images, teacher), evaluate(model, images)):
        assert [None if s is None else s.shape for s in scores] == expected
        assert all(s is None or s.isfinite().all() for s in scores)


@every_model
def test_steps_are_counted_without_a_trace(arm):
    objective, model = arm.make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for width in (WIDTH, 2 * WIDTH):
        steps, columns = models.count_steps(model.train(), (1, HEIGHT, width))
        assert model.training
        assert steps == steps_of(objective, width)
        assert columns == (width // STRIDE if objective.column_classes else 0)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    models.count_steps(model.eval(), (1, HEIGHT, WIDTH))
    assert not model.training


@pytest.mark.parametrize("decoder", models.DECODERS)
def test_hidden_and_layers_are_those_asked_for_or_the_decoders_own(decoder):
    own = models.DECODERS[decoder].default_hidden
    sizes = {}
    if not own:  # there is nothing that could have a width
        built = [
            models.build("small_cnn", STRIDE, decoder, models.Outputs(13), hidden=h, layers=n)
            for h, n in ((None, 1), (16, 2))
        ]
        assert len({models.count_parameters(model) for model in built}) == 1
        assert not any(isinstance(m, nn.LSTM) for model in built for m in model.modules())
        return
    for hidden, layers in ((None, 1), (own, 1), (16, 1), (16, 2)):
        model = models.build(
            "small_cnn", STRIDE, decoder, models.Outputs(13), hidden=hidden, layers=layers
        )
        assert model.hidden == (hidden or own)
        assert [m.num_layers for m in model.modules() if isinstance(m, nn.LSTM)] == [layers]
        sizes[hidden, layers] = models.count_parameters(model)
    assert sizes[None, 1] == sizes[own, 1] > sizes[16, 2] > sizes[16, 1]


@every_arm_on_two_backbones
def test_loss_is_finite_in_training_and_evaluation(arm):
    objective, model = arm.make()
    images = drawn(LABELS)
    trained = train_step(model, objective, images, LABELS)
    for parts in (trained, objective.loss(evaluate(model, images), objective.encode(LABELS))):
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
    images = drawn(LABELS[:4]).double()
    train_step(model.double(), objective, images, LABELS[:4])["total"].backward()
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-12
    }


@every_arm_on_two_backbones
def test_gradients_reach_every_parameter(arm):
    objective, model = arm.make(layers=2)
    missed = unreached(model, objective)
    # The statistics of the batch take out every shift that reaches them through linear layers
    # alone, as from MobileNet's linear bottlenecks; fixed statistics let it through.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(use_running_statistics)
    assert not missed & unreached(model, objective)
    assert models.count_parameters(model) == sum(p.numel() for p in model.parameters())


@every_arm_on_two_backbones
def test_every_sample_has_a_reading_of_the_charset_and_its_confidence(arm):
    objective, model = arm.make()
    scores = evaluate(model, drawn(LABELS))
    # The untrained scores are nearly alike: the others make long and sure readings too.
    for factor in (1, 30, 1000):
        noisy = models.Scores(
            *(s if s is None else factor * (s + 0.2 * torch.randn(s.shape)) for s in scores)
        )
        readings = objective.decode(noisy)
        assert len(readings) == len(LABELS)
        for reading in readings:
            assert set(reading.text) <= set(CHARSET)
            assert 0 <= reading.confidence <= 1
            assert len(reading.text) <= scores.steps.shape[1]


@every_arm
def test_the_confidence_of_a_reading_is_the_probability_of_its_text(arm):
    objective, model = arm.make()
    scores = evaluate(model, drawn(LABELS))
    for factor in (1, 30):
        noisy = models.Scores(
            *(s if s is None else factor * (s + 0.2 * torch.randn(s.shape)) for s in scores)
        )
        readings = objective.decode(noisy)
        found = objective.log_probability(noisy, [reading.text for reading in readings])
        confidences = torch.tensor([r.confidence for r in readings], dtype=torch.float64)
        torch.testing.assert_close(found.exp(), confidences, rtol=1e-4, atol=1e-30)


@every_arm
def test_only_a_decoder_that_reads_its_own_output_listens_to_a_teacher(arm):
    objective, model = arm.make()
    images = drawn(LABELS)
    unread = objective.encode(["9"] * len(LABELS)).classes
    with torch.inference_mode():
        alone, taught = model.eval()(images), model(images, unread)
    assert same(alone, taught) == (not model.autoregressive)


@every_arm_on_two_backbones
def test_evaluation_is_deterministic_and_reads_each_image_by_itself(arm):
    objective, model = arm.make()
    images = drawn(LABELS)
    train_step(model, objective, images, LABELS)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = evaluate(model, images)
    torch.manual_seed(123)  # whatever is drawn must not matter
    second = evaluate(model, images)
    assert same(first, second)
    assert objective.decode(first) == objective.decode(second)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    alone = torch.cat([evaluate(model, image[None]).steps for image in images])
    torch.testing.assert_close(alone, first.steps, rtol=1e-3, atol=1e-4)


@every_model
def test_weights_survive_a_file(arm, tmp_path):
    objective, model = arm.make()
    images = drawn(LABELS)
    train_step(model, objective, images, LABELS)  # gives the batch statistics values of their own
    expected = evaluate(model, images)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")

    _, fresh = arm.make(seed=1)
    assert not torch.equal(evaluate(fresh, images).steps, expected.steps)
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert same(evaluate(fresh, images), expected)


@every_arm
def test_a_label_that_is_too_long_is_refused_and_one_that_fits_is_not(arm):
    objective, model = arm.make()
    steps, columns = models.count_steps(model, (1, HEIGHT, WIDTH))
    longest = ("01" * steps)[:steps]
    objective.check("0", steps, columns)
    objective.check(longest, steps, columns)
    if not arm.options.get("allow_infeasible"):
        with pytest.raises(losses.CannotLearnError, match=longest + "0"):
            objective.check(longest + "0", steps, columns)


def seconds_each(arm):
    """Learning takes seconds: of each layout its own decoder is among the fast tests."""
    if arm not in DEFAULT_ARMS:
        return pytest.mark.long
    own = models.default_decoder(arm.objective().layout)
    return [] if arm.decoder == own else pytest.mark.slow


@pytest.mark.parametrize(
    "arm", [pytest.param(arm, id=str(arm), marks=seconds_each(arm)) for arm in ARMS]
)
def test_eight_images_are_learnt_by_heart(arm):
    assert steps_to_overfit(arm) is not None
