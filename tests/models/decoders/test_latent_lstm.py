"""The published decoder against a few lines of numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from models import Outputs
from models.decoders.latent_lstm import LatentBiLSTMReader, LatentLSTMReader


class Given(nn.Module):
    """Stands where a trunk or an encoder would and returns what it is given."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, features):
        return features


def numbers(module, name):
    return dict(module.named_parameters())[name].detach().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def lstm_reader():
    """A tiny double precision reader whose trunk passes features (N, 3, 2, 4) through."""
    torch.manual_seed(6)
    reader = LatentLSTMReader(Given(3), Outputs(5, 6, 6), hidden=4, layers=1).double().eval()
    with torch.no_grad():
        for name, parameter in reader.named_parameters():
            # Large enough for the reading to change from step to step and image to image.
            parameter.mul_(1.0 if name.startswith("latent") else 6.0)
    return reader


@pytest.fixture
def features():
    return torch.rand(7, 3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def unrolled_by_hand(reader, features, teacher=None):
    """The published decoder in numpy: scores (N, L, C) and latents (N, hidden)."""
    w = {name: parameter.detach().numpy() for name, parameter in reader.named_parameters()}
    pooled = features.numpy().mean(axis=(2, 3))
    latent = np.maximum(pooled @ w["latent.weight"].T + w["latent.bias"], 0)
    hidden, cell = latent, np.zeros_like(latent)
    count, classes = len(latent), reader.outputs.num_classes
    given, scores = np.zeros((count, classes)), []
    for step in range(reader.outputs.max_length):
        gates = given @ w["lstm.weight_ih_l0"].T + w["lstm.bias_ih_l0"]
        gates = gates + hidden @ w["lstm.weight_hh_l0"].T + w["lstm.bias_hh_l0"]
        enter, forget, candidate, leave = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        scores.append(hidden @ w["characters.weight"].T + w["characters.bias"])
        said = scores[-1].argmax(axis=1) if teacher is None else teacher[:, step].numpy()
        given = np.eye(classes)[said]
    return np.stack(scores, axis=1), latent


def test_latent_lstm_runs_free_as_unrolled_by_hand(lstm_reader, features):
    with torch.no_grad():
        scores, lengths, _ = lstm_reader(features)
    expected, latent = unrolled_by_hand(lstm_reader, features)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9, atol=1e-9)
    head = lstm_reader.length[1]
    by_hand = latent @ numbers(head, "weight").T + numbers(head, "bias")
    np.testing.assert_allclose(lengths.numpy(), by_hand, rtol=1e-9, atol=1e-9)


def test_latent_lstm_is_taught_as_unrolled_by_hand(lstm_reader, features):
    teacher = torch.randint(0, 5, (7, 6), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        scores = lstm_reader(features, teacher).steps
    expected, _ = unrolled_by_hand(lstm_reader, features, teacher)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_latent_lstm_starts_from_the_latent_a_zero_cell_and_no_character(lstm_reader, features):
    seen = []
    lstm_reader.lstm.register_forward_pre_hook(lambda _module, args: seen.append(args))
    with torch.no_grad():
        lstm_reader(features)
    first, (hidden, cell) = seen[0]
    _, latent = unrolled_by_hand(lstm_reader, features)
    assert latent.max() > 0
    np.testing.assert_allclose(hidden[0].numpy(), latent, rtol=1e-12)
    assert cell.abs().max() == 0
    assert first.shape == (7, 1, 5)
    assert first.abs().max() == 0


def test_latent_lstm_taught_its_own_reading_gives_the_same_scores(lstm_reader, features):
    with torch.no_grad():
        free = lstm_reader(features).steps
        own = free.argmax(dim=-1)
        taught = lstm_reader(features, own).steps
        mistaught = lstm_reader(features, (own + 1) % 5).steps
    # A reading of one and the same class throughout would prove little.
    assert min(len(set(row)) for row in own.tolist()) > 1
    assert len({tuple(row) for row in own.tolist()}) > 1
    torch.testing.assert_close(taught, free, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mistaught[:, 0], free[:, 0], rtol=1e-9, atol=1e-9)
    assert (mistaught[:, 1:] - free[:, 1:]).abs().amax(dim=(1, 2)).min() > 1e-3


def test_latent_lstm_never_sees_the_character_it_has_to_say(lstm_reader, features):
    teacher = torch.zeros((7, 6), dtype=torch.int64)
    other = teacher.clone()
    other[:, 3] = 2
    with torch.no_grad():
        before, after = (lstm_reader(features, given).steps for given in (teacher, other))
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=0)
    assert (before[:, 4] - after[:, 4]).abs().max() > 1e-3


@pytest.mark.parametrize("teacher", [False, True])
def test_latent_bilstm_is_fed_the_latent_from_both_sides(features, teacher):
    torch.manual_seed(10)
    reader = LatentBiLSTMReader(Given(3), Outputs(5, 6, 6), hidden=4, layers=1).double().eval()
    given = torch.zeros((7, 6), dtype=torch.int64) if teacher else None
    with torch.no_grad():
        scores, lengths, _ = reader(features, given)
    w = {name: parameter.detach().numpy() for name, parameter in reader.named_parameters()}
    latent = np.maximum(
        features.numpy().mean(axis=(2, 3)) @ w["latent.weight"].T + w["latent.bias"], 0
    )
    sides = []
    for suffix in ("l0", "l0_reverse"):
        hidden = cell = np.zeros((7, 4))
        outputs = []
        for _ in range(6):
            gates = latent @ w[f"lstm.weight_ih_{suffix}"].T + w[f"lstm.bias_ih_{suffix}"]
            gates = gates + hidden @ w[f"lstm.weight_hh_{suffix}"].T + w[f"lstm.bias_hh_{suffix}"]
            enter, forget, candidate, leave = np.split(gates, 4, axis=1)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
            hidden = sigmoid(leave) * np.tanh(cell)
            outputs.append(hidden)
        sides.append(np.stack(outputs if suffix == "l0" else outputs[::-1], axis=1))
    read = np.concatenate(sides, axis=2)
    expected = read @ w["characters.weight"].T + w["characters.bias"]
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9, atol=1e-9)
    by_hand = latent @ w["length.1.weight"].T + w["length.1.bias"]
    np.testing.assert_allclose(lengths.numpy(), by_hand, rtol=1e-9, atol=1e-9)


def test_every_layer_of_a_latent_lstm_begins_with_the_latent(features):
    reader = LatentLSTMReader(Given(3), Outputs(5, 6, 6), hidden=4, layers=3).double().eval()
    seen = []
    reader.lstm.register_forward_pre_hook(lambda _module, args: seen.append(args))
    with torch.no_grad():
        reader(features)
    _, (hidden, cell) = seen[0]
    assert hidden.shape == cell.shape == (3, 7, 4)
    assert torch.equal(hidden[0], hidden[1])
    assert torch.equal(hidden[0], hidden[2])
    assert cell.abs().max() == 0
