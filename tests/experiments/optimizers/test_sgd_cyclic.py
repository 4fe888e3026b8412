"""The published schedule and optimiser by their formulas; torch's classes are not asked."""

import math

import pytest
import torch
from torch import nn

from experiments.settings.config import run_config

# As published: 42 epochs of 234 batches, four cycles, 0.001 to 0.01, momentum 0.9 down to 0.8.
TOTAL = 42 * 234
HALF = math.ceil(TOTAL / 8)


class One(nn.Module):
    """A single weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))


def published(total=TOTAL, **changes):
    model = One()
    config = run_config({"optimizer": {"name": "sgd_cyclic"} | changes}, {}).optimizer
    return model, *config.build(model, total)


def triangle(step, half, mode="triangular"):
    """Smith (arXiv:1506.01186): 0 at the foot of a cycle, 1 at its top."""
    cycle = math.floor(1 + step / (2 * half))
    height = max(0.0, 1 - abs(step / half - 2 * cycle + 1))
    return height / 2 ** (cycle - 1) if mode == "triangular2" else height


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["triangular", "triangular2"])
def test_rate_and_momentum_go_against_each_other_in_triangles(mode):
    model, optimizer, schedule = published(mode=mode)
    model.weight.grad = torch.zeros_like(model.weight)
    group = optimizer.param_groups[0]
    for step in range(TOTAL):
        height = triangle(step, HALF, mode)
        assert group["lr"] == pytest.approx(0.001 + 0.009 * height, rel=1e-9)
        assert group["momentum"] == pytest.approx(0.9 - 0.1 * height, rel=1e-9)
        optimizer.step()
        schedule.step()


def test_the_rate_at_steps_that_one_can_work_out():
    model, optimizer, schedule = published(total=80)  # four cycles of 10 steps up and 10 down
    model.weight.grad = torch.zeros_like(model.weight)
    seen = []
    for _ in range(80):
        group = optimizer.param_groups[0]
        seen.append((round(group["lr"], 9), round(group["momentum"], 9)))
        optimizer.step()
        schedule.step()
    assert seen[0] == seen[20] == seen[60] == (0.001, 0.9)
    assert seen[10] == seen[30] == seen[70] == (0.01, 0.8)
    assert seen[5] == seen[15] == seen[45] == (0.0055, 0.85)
    assert seen[79] == (0.0019, 0.89)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)  # where the last cycle ends


def test_a_step_is_nesterovs_with_the_momentum_of_that_step_and_no_decay():
    model, optimizer, schedule = published(total=40)
    weight, velocity = 2.0, 0.0
    for step in range(25):
        optimizer.zero_grad()
        (model.weight**2).sum().backward()
        optimizer.step()
        schedule.step()
        height = triangle(step, 5)
        rate, momentum = 0.001 + 0.009 * height, 0.9 - 0.1 * height
        gradient = 2 * weight
        velocity = momentum * velocity + gradient if step else gradient
        weight -= rate * (gradient + momentum * velocity)
        assert model.weight.item() == pytest.approx(weight, rel=1e-9)
    assert weight < 1.9


def test_without_momentum_nobody_looks_ahead():
    model = One()
    still = {"name": "sgd_cyclic", "base_momentum": 0, "max_momentum": 0}
    sgd, _ = run_config({"optimizer": still}, {}).optimizer.build(model, TOTAL)
    assert sgd.param_groups[0]["nesterov"] is False
    assert published()[1].param_groups[0]["nesterov"] is True
