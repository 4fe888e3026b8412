"""Decoders against a few lines of numpy."""

import numpy as np
import pytest
import torch
from torch import nn

import models
from models import Outputs
from models.columns import ColumnReader
from models.latent_lstm import LatentBiLSTMReader, LatentLSTMReader
from models.slots import SlotReader


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
    assert scores.shape == (3, 6, 5)
    assert lengths.shape == (3, 6)
    for sample, given in enumerate(columns.numpy()):
        wanted = np.exp(given @ numbers(slot_reader.attention, "weight").T)  # (T, L)
        for position in range(6):
            attention = wanted[:, position] / wanted[:, position].sum()
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


@pytest.mark.parametrize("decoder", ["columns", "slots", "latent_lstm", "latent_bilstm"])
def test_auxiliary_heads_leave_the_start_of_all_else_as_it_is(decoder):
    with_heads = Outputs(13, 6, 6, 13 if models.DECODERS[decoder].has_columns else 0, "trunk")
    plain, more = (
        build_seeded(decoder, outputs).state_dict() for outputs in (Outputs(13, 0, 6), with_heads)
    )
    assert set(more) > set(plain)
    for name, tensor in plain.items():
        assert torch.equal(tensor, more[name]), name


def build_seeded(decoder, outputs):
    torch.manual_seed(0)
    return models.build("small_cnn", 8, decoder, outputs, hidden=8)


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
