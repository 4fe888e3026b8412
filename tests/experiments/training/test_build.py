"""The model that is built is the one that settings and loss ask for."""

import pytest

from experiments.settings.config import run_config
from experiments.training.build import build


def built(**settings):
    return build(run_config({"hidden": 8, "width_stride": 8, **settings}, {}))[0]


@pytest.mark.parametrize(
    ("settings", "column_head"),
    [
        ({"loss": "ctc"}, None),
        ({"loss": "ctc", "loss_options": {"shortcut_weight": 0.1}}, "trunk"),
        ({"loss": "ce_stop"}, None),
        ({"loss": "hybrid"}, "encoder"),
    ],
)
def test_the_column_head_stands_where_the_loss_wants_it(settings, column_head):
    model = built(**settings)
    assert (model.columns is not None) == (column_head is not None)
    if column_head is not None:
        features = {"trunk": model.trunk.channels, "encoder": 16}[column_head]
        assert model.columns.scores.in_channels == features


@pytest.mark.parametrize("decoder", ["slots", "latent_lstm", "latent_bilstm"])
def test_layers_and_lengths_are_those_of_the_settings(decoder):
    model = built(loss="ce_stop", decoder=decoder, layers=3, max_length=7)
    lstm = model.encoder.lstm if decoder == "slots" else model.lstm
    assert (lstm.num_layers, lstm.hidden_size) == (3, 8)
    assert model.length[1].out_features == 7
    without = built(loss="ce_stop", decoder=decoder, loss_options={"length_weight": 0.0})
    assert without.length is None
