"""Costs against counts made by hand."""

import math

import pytest
import torch

import models
from models.cost import count_multiply_adds
from tests.arms import DEFAULT_ARMS, HEIGHT, WIDTH


def lstm(inside, hidden, steps, directions=1):
    """Four gates, each from the input and from the state before."""
    return directions * steps * 4 * hidden * (inside + hidden)


def crnn_trunk():
    """At 32x100 with a width stride of 4: (in, out, window, height, width) of the outputs."""
    layers = [
        *((1, 64, 3, 32, 100), (64, 128, 3, 16, 50), (128, 256, 3, 8, 25), (256, 256, 3, 8, 25)),
        *((256, 512, 3, 4, 25), (512, 512, 3, 4, 25), (512, 512, 2, 1, 25)),
    ]
    return sum(i * o * k * k * h * w for i, o, k, h, w in layers)


EXPECTED = {
    "columns": crnn_trunk() + lstm(512, 16, 25, 2) + 25 * 32 * 13,
    "slots": crnn_trunk() + lstm(512, 16, 25, 2) + 25 * 32 * 6 * 2 + 6 * 32 * 13 + 32 * 6,
    "latent_lstm": crnn_trunk() + 512 * 16 + lstm(13, 16, 6) + 6 * 16 * 13 + 16 * 6,
    "latent_bilstm": crnn_trunk() + 512 * 16 + lstm(16, 16, 6, 2) + 6 * 32 * 13 + 16 * 6,
    "pooled": crnn_trunk() + 512 * 6 * 13 + 512 * 6,
}


@pytest.mark.parametrize("decoder", EXPECTED)
def test_multiply_adds_are_those_counted_by_hand(decoder):
    outputs = models.Outputs(13, 0 if decoder == "columns" else 6, 6)
    model = models.build("crnn", 4, decoder, outputs, hidden=16)
    assert count_multiply_adds(model, (1, 32, 100)) == EXPECTED[decoder]


def test_a_second_layer_and_a_shortcut_are_counted():
    plain, deep, shortcut = (
        count_multiply_adds(
            models.build("crnn", 4, "columns", outputs, hidden=16, layers=layers), (1, 32, 100)
        )
        for outputs, layers in [
            (models.Outputs(13), 1),
            (models.Outputs(13), 2),
            (models.Outputs(13, column_classes=13, column_source="trunk"), 1),
        ]
    )
    assert deep - plain == lstm(32, 16, 25, 2)
    assert shortcut - plain == 512 * 13 * 3 * 25


def test_the_published_backbone_costs_what_torchvision_says():
    outputs = models.Outputs(13, 10)
    model = models.build("resnet50", 32, "latent_lstm", outputs)
    whole = count_multiply_adds(model, (3, 224, 224))
    head = 2048 * 512 + lstm(13, 512, 10) + 10 * 512 * 13 + 512 * 10
    # 4.089 billion with its own classifier of 2048 * 1000, as the weights' page has it.
    assert (whole - head + 2048 * 1000) / 1e9 == pytest.approx(4.089, abs=0.001)


@pytest.mark.parametrize("arm", DEFAULT_ARMS, ids=str)
def test_every_arm_has_a_cost_and_keeps_its_weights(arm):
    _, model = arm.make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    threads = torch.get_num_threads()
    cost = models.measure(model.train(), (1, HEIGHT, WIDTH), seconds=0)
    assert model.training
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.multiply_adds > cost.parameters / 10
    assert cost.threads == threads
    assert all(math.isfinite(ms) and ms > 0 for ms in (cost.latency_ms, cost.latency_ms_batch32))


def test_times_are_medians_of_one_image(monkeypatch):
    """A clock that goes a second a look, and three passes that are slow."""
    ticks = iter(range(1000))
    slow = {5, 6, 7}
    now = {"time": 0.0}

    def clock():
        now["time"] += 10.0 if next(ticks) in slow else 1.0
        return now["time"]

    monkeypatch.setattr("models.cost.time.perf_counter", clock)
    _, model = DEFAULT_ARMS[0].make()
    cost = models.measure(model, (1, HEIGHT, WIDTH), seconds=0)
    assert cost.latency_ms == 1000.0
    assert cost.latency_ms_batch32 == 1000.0 / 32
