"""Position queries against a few lines of numpy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from models import Outputs
from models.decoders.queries import QueryReader, sinusoids

FEATURES, CLASSES, LENGTH = 8, 5, 6


class Given(nn.Module):
    """Stands where a trunk or an encoder would and returns what it is given."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, features):
        return features


@pytest.fixture
def reader():
    """Right above columns (N, T, 8), in double precision, without trunk and encoder."""
    torch.manual_seed(6)
    reader = QueryReader(Given(3), Outputs(CLASSES, 6, LENGTH), hidden=4, layers=1)
    reader.encoder = Given(FEATURES)
    with torch.no_grad():
        for parameter in reader.parameters():
            parameter.mul_(2).add_(0.1 * torch.randn(parameter.shape))
    return reader.double().eval()


def read(reader, columns):
    """The scores for these columns (N, T, D): maps of one row fold to them."""
    with torch.no_grad():
        return reader(columns.transpose(1, 2)[:, :, None]).steps


def columns_of(count, width=9):
    stream = torch.Generator().manual_seed(2)
    return torch.randn((count, width, FEATURES), dtype=torch.float64, generator=stream)


def test_each_position_is_four_looks_at_the_columns_and_a_feed_forward_layer(reader):
    columns = columns_of(3)
    w = {name: parameter.detach().numpy() for name, parameter in reader.named_parameters()}

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    def normalised(name, x):
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    scores = read(reader, columns)
    with torch.no_grad():
        attended = reader.attend(columns.transpose(1, 2)[:, :, None]).numpy()
    places = sinusoids(9, FEATURES).double().numpy()
    for image, given in enumerate(normalised("normalise", columns.numpy())):
        asked = linear("query", w["queries"])
        keys, values = linear("key", given + places), linear("value", given)
        for position in range(LENGTH):
            looks, spread = [], np.zeros(9)
            for head in range(4):
                part = slice(2 * head, 2 * head + 2)
                wanted = np.exp(keys[:, part] @ asked[position, part] / math.sqrt(2))
                looks.append(wanted / wanted.sum() @ values[:, part])
                spread += wanted / wanted.sum() / 4
            found = linear("merge", np.concatenate(looks))
            hidden = linear("feed.1", normalised("feed.0", found))
            hidden = hidden * [(1 + math.erf(x / math.sqrt(2))) / 2 for x in hidden]
            found = normalised("finish", found + linear("feed.4", hidden))
            by_hand = linear("characters", found)
            np.testing.assert_allclose(scores[image, position].numpy(), by_hand, rtol=1e-7)
            np.testing.assert_allclose(attended[image, position], spread, rtol=1e-9)


def test_the_order_of_the_columns_matters_by_their_places_alone(reader):
    columns = columns_of(2)
    with torch.no_grad():
        assert (read(reader, columns) - read(reader, columns.flip(1))).abs().max() > 1e-3
        reader.key.weight.zero_()  # all columns alike, wherever they stand
        torch.testing.assert_close(read(reader, columns), read(reader, columns.flip(1)))


def test_a_place_is_sines_and_cosines_of_waves_that_get_longer():
    places = sinusoids(20, 6)
    for place in range(20):
        for wave, length in enumerate((1, 100 ** (1 / 3), 100 ** (2 / 3))):
            expected = [math.sin(place / length), math.cos(place / length)]
            assert places[place, 2 * wave : 2 * wave + 2].tolist() == pytest.approx(
                expected, abs=1e-5
            )


@pytest.mark.parametrize("hidden", [1, 3, 6])
def test_a_width_that_four_heads_do_not_divide_has_fewer(hidden):
    reader = QueryReader(Given(3), Outputs(CLASSES, 6, LENGTH), hidden=hidden, layers=1)
    assert reader(torch.rand(2, 3, 1, 9)).steps.shape == (2, LENGTH, CLASSES)
