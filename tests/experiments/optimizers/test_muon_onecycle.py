"""Muon against the singular value decomposition, and AdamW where it stands aside."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from experiments.optimizers.muon_onecycle import MuonOneCycle, orthogonal
from experiments.training.state import State


def net():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),  # a kernel of 16x9: too small
        nn.ReLU(),
        nn.Conv2d(16, 24, 3),  # 24x144
        nn.Flatten(),
        nn.Linear(24 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, 5),  # five classes: too few
    )


def gradients(model):
    images = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(4))
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(images), torch.arange(8) % 5)
    loss.backward()
    return loss.item()


@given(st.integers(16, 40), st.integers(16, 60), st.integers(0, 1000))
def test_directions_stay_and_sizes_become_nearly_one(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    # Spectra of gradients are no flatter than this one.
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    inside = left.T @ found @ right.T
    diagonal = inside.diagonal()
    torch.testing.assert_close(inside, torch.diag(diagonal), atol=1e-3, rtol=0)
    large = sizes > 0.05 * sizes.norm()
    assert bool((diagonal[large] > 0.6).all())
    assert bool((diagonal < 1.25).all())
    assert bool((diagonal > 0).all())
    torch.testing.assert_close(orthogonal(7 * matrix), found)  # whatever its scale
    torch.testing.assert_close(orthogonal(matrix.T), found.T)


def test_the_first_step_of_a_matrix_is_its_gradient_made_orthogonal():
    model = net()
    settings = MuonOneCycle(max_lr=0.1, weight_decay=0.5)
    optimizer, _ = settings.build(model, 10)
    rate = optimizer.param_groups[0]["lr"]
    gradients(model)
    for weight in (model[2].weight, model[4].weight):
        before, gradient = weight.detach().clone(), weight.grad.clone()
        rows, columns = gradient.flatten(1).shape
        step = 0.2 * math.sqrt(max(rows, columns)) * orthogonal(gradient.flatten(1))
        wanted = before * (1 - rate * 0.5) - rate * step.view_as(before)
        weight.wanted = wanted
    optimizer.step()
    for weight in (model[2].weight, model[4].weight):
        torch.testing.assert_close(weight.detach(), weight.wanted)


def test_its_steps_are_about_as_large_as_those_of_adamw():
    # So that a rate means the same to both.
    ours, theirs = net(), net()
    optimizer, _ = MuonOneCycle(weight_decay=0).build(ours, 10)
    adamw = AdamW(theirs.parameters(), lr=optimizer.param_groups[0]["lr"], weight_decay=0)
    moved = []
    for model, one in ((ours, optimizer), (theirs, adamw)):
        before = model[2].weight.detach().clone()
        for _ in range(20):
            gradients(model)
            one.step()
        moved.append((model[2].weight - before).square().mean().sqrt().item())
    assert 0.2 < moved[0] / moved[1] < 2


def test_what_is_small_is_adamws():
    ours, theirs = net(), net()
    settings = MuonOneCycle()
    optimizer, schedule = settings.build(ours, 10)
    small = [ours[0].weight, *(m.bias for m in ours if hasattr(m, "bias")), ours[6].weight]
    matrices, others = (group["params"] for group in optimizer.param_groups)
    assert {id(w) for w in others} == {id(w) for w in small}
    assert len(matrices) + len(others) == len(list(ours.parameters()))
    adamw = AdamW(theirs.parameters(), lr=settings.max_lr, weight_decay=settings.weight_decay)
    onecycle = OneCycleLR(adamw, settings.max_lr, total_steps=10, pct_start=settings.warmup)
    for _ in range(3):
        gradients(ours)
        # The same gradients for both, whatever the matrices have become.
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.grad = mine.grad.clone()
        for step in (optimizer, adamw, schedule, onecycle):
            step.step()
    torch.testing.assert_close(ours[0].weight, theirs[0].weight)
    torch.testing.assert_close(ours[6].bias, theirs[6].bias)
    assert not torch.equal(ours[2].weight, theirs[2].weight)


def test_its_means_come_back_from_a_checkpoint(tmp_path):
    def begin():
        model = net()
        return State("owner", model, *MuonOneCycle().build(model, 30), None)

    def go_on(state, steps):
        losses = []
        for _ in range(steps):
            losses.append(gradients(state.model))
            state.optimizer.step()
            state.schedule.step()
        return losses

    state = begin()
    first = go_on(state, 8)
    assert first[-1] < first[0]
    state.add({"val.exact_match": 0.5, "val.loss": 1.0}, 1.0)
    state.save(tmp_path / "checkpoint.safetensors")
    ahead = go_on(state, 5)
    again = begin()
    again.restore(tmp_path / "checkpoint.safetensors")
    assert go_on(again, 5) == pytest.approx(ahead, rel=0, abs=0)
