"""Adam by its formula."""

import math

import pytest
import torch
from torch import nn

from experiments.settings.config import run_config


class One(nn.Module):
    """A single weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))


def test_adam_goes_on_at_one_rate_by_its_own_formula():
    model = One()
    config = run_config({"optimizer": {"name": "adam", "lr": 0.01}}, {}).optimizer
    optimizer, schedule = config.build(model, 10)
    weight, first, second = 2.0, 0.0, 0.0
    for step in range(1, 31):
        optimizer.zero_grad()
        (model.weight**2).sum().backward()
        optimizer.step()
        schedule.step()
        gradient = 2 * weight
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = math.sqrt(second / (1 - 0.999**step)) + 1e-8
        weight -= 0.01 * first / (1 - 0.9**step) / corrected
        assert model.weight.item() == pytest.approx(weight, rel=1e-9)
        assert optimizer.param_groups[0]["lr"] == 0.01
