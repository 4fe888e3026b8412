"""Slots, and the columns below them, against a few lines of numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from models import Outputs
from models.decoders.columns import ColumnReader
from models.decoders.slots import SlotReader


class Given(nn.Module):
    """Stands where a trunk or an encoder would and returns what it is given."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, features):
        return features


def numbers(module, name):
    return dict(module.named_parameters())[name].detach().numpy()


@pytest.fixture
def slot_reader():
    """Slots right above columns (N, T, 4), without trunk and LSTM."""
    torch.manual_seed(5)
    reader = SlotReader(Given(3), Outputs(5, 6, 6), hidden=2, layers=1).double().eval()
    reader.encoder = Given(4)
    return reader


def maps_of(columns):
    """Feature maps (N, D, 1, T) that fold to these columns (N, T, D)."""
    return columns.transpose(1, 2)[:, :, None]


def columns_of(count, seed=1):
    return torch.randn(
        count, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def test_slots_attention_sums_to_one(slot_reader):
    # Columns whose first feature is 1, under a class that reads just this feature: the score is
    # then the sum of the attention.
    columns = columns_of(7)
    columns[..., 0] = 1
    with torch.no_grad():
        slot_reader.characters.weight.zero_()
        slot_reader.characters.weight[:, 0] = 1
        slot_reader.characters.bias.zero_()
        slot_reader.attention.weight.mul_(5)
        scores = slot_reader(maps_of(columns)).steps
    torch.testing.assert_close(scores, torch.ones(7, 6, 5, dtype=torch.float64))


def test_slots_are_columns_averaged_by_attention(slot_reader):
    columns = columns_of(3)
    with torch.no_grad():
        scores, lengths, _ = slot_reader(maps_of(columns))
        attended = slot_reader.attend(maps_of(columns)).numpy()
    assert scores.shape == (3, 6, 5)
    assert lengths.shape == (3, 6)
    for sample, given in enumerate(columns.numpy()):
        wanted = np.exp(given @ numbers(slot_reader.attention, "weight").T)  # (T, L)
        for position in range(6):
            attention = wanted[:, position] / wanted[:, position].sum()
            np.testing.assert_allclose(attended[sample, position], attention, rtol=1e-9)
            slot = sum(a * column for a, column in zip(attention, given, strict=True))
            by_hand = numbers(slot_reader.characters, "weight") @ slot
            by_hand = by_hand + numbers(slot_reader.characters, "bias")
            np.testing.assert_allclose(scores[sample, position].numpy(), by_hand, rtol=1e-9)
        head = slot_reader.length[1]
        by_hand = numbers(head, "weight") @ given.mean(axis=0) + numbers(head, "bias")
        np.testing.assert_allclose(lengths[sample].numpy(), by_hand, rtol=1e-9)


def test_the_height_is_folded_by_its_maximum(slot_reader):
    maps = torch.randn(2, 4, 3, 9, dtype=torch.float64)
    with torch.no_grad():
        scores, folded = slot_reader(maps).steps, slot_reader(maps.amax(dim=2, keepdim=True)).steps
    torch.testing.assert_close(scores, folded, rtol=0, atol=0)


@pytest.mark.parametrize("reader", [ColumnReader, SlotReader])
def test_the_shortcut_is_a_window_of_three_on_the_trunks_own_columns(reader):
    torch.manual_seed(8)
    outputs = Outputs(5, 0, 6, column_classes=2, column_source="trunk")
    model = reader(Given(3), outputs, hidden=2, layers=1).double().eval()
    maps = torch.randn(2, 3, 4, 9, dtype=torch.float64)
    with torch.no_grad():
        columns = model(maps).columns.numpy()
    assert columns.shape == (2, 9, 2)
    weight, bias = numbers(model, "columns.scores.weight"), numbers(model, "columns.scores.bias")
    seen = np.pad(maps.numpy().max(axis=2), [(0, 0), (0, 0), (1, 1)])
    for t in range(9):
        by_hand = np.einsum("ndw,cdw->nc", seen[:, :, t : t + 3], weight) + bias
        np.testing.assert_allclose(columns[:, t], by_hand, rtol=1e-9)


def test_the_encoders_column_head_is_a_linear_layer_on_the_encoders_columns():
    torch.manual_seed(9)
    outputs = Outputs(5, 0, 6, column_classes=2, column_source="encoder")
    model = SlotReader(Given(3), outputs, hidden=2, layers=1).double().eval()
    model.encoder = Given(4)
    columns = columns_of(3)
    with torch.no_grad():
        scores = model(maps_of(columns)).columns
    weight = numbers(model, "columns.scores.weight")[:, :, 0]
    by_hand = columns.numpy() @ weight.T + numbers(model, "columns.scores.bias")
    np.testing.assert_allclose(scores.numpy(), by_hand, rtol=1e-9)
