"""The attention LSTM against a few lines of numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from models import Outputs
from models.decoders.attention_lstm import AttentionLSTMReader

COUNT, WIDTH, FEATURES, CLASSES, LENGTH = 7, 9, 4, 5, 6


class Given(nn.Module):
    """Stands where a trunk or an encoder would and returns what it is given."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, features):
        return features


@pytest.fixture
def reader():
    """Right above columns (N, T, 4), in double precision, without trunk and encoder."""
    torch.manual_seed(6)
    reader = AttentionLSTMReader(Given(3), Outputs(CLASSES, 6, LENGTH), hidden=2, layers=1)
    reader.encoder = Given(FEATURES)
    with torch.no_grad():
        for parameter in reader.parameters():
            # Large enough for the reading to change from step to step and image to image.
            parameter.mul_(4)
    return reader.double().eval()


@pytest.fixture
def columns():
    return torch.randn(
        (COUNT, WIDTH, FEATURES), dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


def read(reader, columns, teacher=None):
    """The scores for these columns (N, T, D): maps of one row fold to them."""
    with torch.no_grad():
        return reader(columns.transpose(1, 2)[:, :, None], teacher).steps


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unrolled_by_hand(reader, columns, teacher=None):
    """Scores (N, L, C) and attentions (N, L, T), an image and a step at a time."""
    w = {name: parameter.detach().numpy() for name, parameter in reader.named_parameters()}
    scores = np.zeros((len(columns), LENGTH, CLASSES))
    attentions = np.zeros((len(columns), LENGTH, columns.shape[1]))
    for image, given in enumerate(columns.numpy()):
        hidden = cell = np.zeros(2)
        before = np.zeros(CLASSES)
        looked = np.zeros((2, len(given)))
        for step in range(LENGTH):
            around = np.pad(looked, [(0, 0), (2, 2)])
            energies = []
            for t, column in enumerate(given):
                place = np.einsum("kw,hkw->h", around[:, t : t + 5], w["places.weight"])
                asked = w["query.weight"] @ hidden + w["query.bias"]
                matched = np.tanh(w["keys.weight"] @ column + asked + place)
                energies.append(w["energy.weight"][0] @ matched)
            attention = np.exp(energies) / np.exp(energies).sum()
            seen = attention @ given
            gates = w["cell.weight_ih"] @ np.concatenate([seen, before]) + w["cell.bias_ih"]
            gates = gates + w["cell.weight_hh"] @ hidden + w["cell.bias_hh"]
            enter, forget, candidate, leave = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
            hidden = sigmoid(leave) * np.tanh(cell)
            score = w["characters.weight"] @ np.concatenate([hidden, seen]) + w["characters.bias"]
            said = score.argmax() if teacher is None else teacher[image, step]
            before = np.eye(CLASSES)[said]
            looked = np.stack([attention, looked[1] + attention])
            scores[image, step], attentions[image, step] = score, attention
    return scores, attentions


def test_it_runs_free_as_unrolled_by_hand(reader, columns):
    expected, attentions = unrolled_by_hand(reader, columns)
    np.testing.assert_allclose(read(reader, columns).numpy(), expected, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        attended = reader.attend(columns.transpose(1, 2)[:, :, None]).numpy()
    np.testing.assert_allclose(attended, attentions, rtol=1e-9, atol=1e-12)
    # A look that never moves would leave most of it untried.
    assert np.abs(np.diff(attentions, axis=1)).max() > 0.1


def test_it_is_taught_as_unrolled_by_hand(reader, columns):
    teacher = torch.randint(0, CLASSES, (COUNT, LENGTH), generator=torch.Generator().manual_seed(3))
    expected, _ = unrolled_by_hand(reader, columns, teacher)
    scores = read(reader, columns, teacher)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_taught_its_own_reading_it_gives_the_same_scores(reader, columns):
    free = read(reader, columns)
    own = free.argmax(dim=-1)
    # A reading of one and the same class throughout would prove little.
    assert len({tuple(row) for row in own.tolist()}) > 1
    torch.testing.assert_close(read(reader, columns, own), free, rtol=1e-9, atol=1e-9)


def test_it_never_sees_the_character_it_has_to_say(reader, columns):
    teacher = torch.zeros((COUNT, LENGTH), dtype=torch.int64)
    other = teacher.clone()
    other[:, 3] = 2
    before, after = (read(reader, columns, given) for given in (teacher, other))
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=0)
    assert (before[:, 4] - after[:, 4]).abs().max() > 1e-3
