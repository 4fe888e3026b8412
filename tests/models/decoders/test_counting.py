"""Columns placed by the characters up to them: what is stretched is asked for alike."""

import torch
from torch import nn

from models import Outputs
from models.decoders.counting import CountingReader
from models.decoders.queries import QueryReader, sinusoids

FEATURES, CLASSES, LENGTH = 8, 5, 6


class Given(nn.Module):
    """Stands where a trunk or an encoder would and returns what it is given."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, features):
        return features


def reader_of(kind):
    """Right above columns (N, T, 8), in double precision, without trunk and encoder."""
    torch.manual_seed(6)
    reader = kind(Given(3), Outputs(CLASSES, 6, LENGTH), hidden=4, layers=1)
    reader.encoder = Given(FEATURES)
    return reader.double().eval()


def read(reader, columns):
    with torch.no_grad():
        return reader(columns.transpose(1, 2)[:, :, None]).steps


def columns_of(count, width=9):
    stream = torch.Generator().manual_seed(2)
    return torch.randn((count, width, FEATURES), dtype=torch.float64, generator=stream)


def test_a_column_stands_where_the_parts_before_it_and_half_its_own_end():
    reader, columns = reader_of(CountingReader), columns_of(2)
    with torch.no_grad():
        parts = torch.sigmoid(columns @ reader.parts.weight[0] + reader.parts.bias)
        places = reader._places(columns)
    for image in range(2):
        for column in range(9):
            at = parts[image, :column].sum() + parts[image, column] / 2
            expected = sinusoids(at, FEATURES)
            torch.testing.assert_close(places[image, column], expected)


def test_it_is_the_reader_of_position_queries_where_a_column_is_a_character():
    counting, queries = reader_of(CountingReader), reader_of(QueryReader)
    counting.load_state_dict(queries.state_dict(), strict=False)
    with torch.no_grad():
        counting.parts.weight.zero_()
        counting.parts.bias.fill_(100)  # all of one
    columns = columns_of(3)
    places = queries._places
    queries._places = lambda _: sinusoids(torch.arange(9) + 0.5, FEATURES).double()
    torch.testing.assert_close(read(counting, columns), read(queries, columns))
    queries._places = places
    assert (read(counting, columns) - read(queries, columns)).abs().max() > 1e-4


def test_blank_columns_between_characters_move_no_character():
    reader = reader_of(CountingReader)
    with torch.no_grad():
        reader.parts.weight.copy_(torch.eye(FEATURES)[:1])
        reader.parts.bias.fill_(0)
    columns = columns_of(1, width=4)
    columns[:, :, 0] = 50.0  # characters
    gap = torch.zeros((1, 3, FEATURES), dtype=torch.float64)
    gap[:, :, 0] = -50.0
    with torch.no_grad():
        close = reader._places(columns)
        wide = reader._places(torch.cat([columns[:, :2], gap, columns[:, 2:]], dim=1))
    torch.testing.assert_close(wide[:, [0, 1, 5, 6]], close)


def test_what_says_where_characters_are_learns_from_what_is_read():
    reader = reader_of(CountingReader).train()
    reader(columns_of(2).transpose(1, 2)[:, :, None]).steps.square().sum().backward()
    assert reader.parts.weight.grad.abs().max() > 0
