"""What every optimiser has to keep; a new one is found here by itself."""

from typing import Literal

import pytest
import torch
from torch import nn

from experiments.optimizers import OPTIMIZERS, OptimizerSettings
from experiments.optimizers.adam import Adam
from experiments.optimizers.base import register
from experiments.settings.config import run_config
from experiments.training.state import State

STEPS = 40
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def made(name, steps=STEPS):
    torch.manual_seed(0)
    model = nn.Linear(6, 1)
    settings = run_config({"optimizer": name}, {}).optimizer
    return model, *settings.build(model, steps)


def learn(model, optimizer, schedule, steps):
    """Fit a line; the loss before each step."""
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
    wanted = inputs @ torch.arange(1.0, 7)[:, None]
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(inputs) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@every_optimizer
@pytest.mark.parametrize("steps", [1, 2, 4, STEPS])
def test_it_learns_to_the_end_of_a_run_of_any_length(name, steps):
    losses = learn(*made(name, steps), steps)
    assert len(losses) == steps
    assert steps == 1 or losses[-1] < losses[0]


@every_optimizer
def test_it_is_all_of_the_models_weights_that_it_changes(name):
    model, optimizer, schedule = made(name)
    before = [weight.detach().clone() for weight in model.parameters()]
    learn(model, optimizer, schedule, 3)
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)


@every_optimizer
def test_it_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(name, tmp_path):
    model, optimizer, schedule = made(name)
    state = State("owner", model, optimizer, schedule, None)
    learn(model, optimizer, schedule, 15)
    state.add({"val.exact_match": 0.5, "val.loss": 1.0}, 1.0)
    state.save(tmp_path / "checkpoint.safetensors")
    ahead = learn(model, optimizer, schedule, 10)
    other, *rest = made(name)
    State("owner", other, *rest, None).restore(tmp_path / "checkpoint.safetensors")
    assert learn(other, *rest, 10) == ahead


@every_optimizer
def test_its_rates_are_named_in_the_message_of_a_run_that_diverges(name):
    settings = run_config({"optimizer": name}, {}).optimizer.model_dump()
    assert [key for key in settings if key.endswith("lr")]


@pytest.mark.parametrize(
    ("name", "said"), [("adam", "two optimisers are called"), ("shaky", "set name")]
)
def test_a_name_is_taken_once_and_is_that_of_the_settings(name, said):
    class Shaky(OptimizerSettings):
        name: Literal["other"] = "other"

        def build(self, model, total_steps):
            raise NotImplementedError

    with pytest.raises(ValueError, match=said):
        register(name)(Shaky)
    assert OPTIMIZERS["adam"] is Adam
    assert "shaky" not in OPTIMIZERS
