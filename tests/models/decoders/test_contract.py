"""What holds of every decoder. A new one is found here and in tests/test_contracts.py by itself."""

import pytest
import torch

import models
from models import Outputs
from models.decoders.base import register
from models.decoders.slots import SlotReader


@pytest.mark.parametrize("decoder", models.DECODERS)
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


@pytest.mark.parametrize("decoder", models.DECODERS)
def test_attention_is_spread_over_the_columns_and_leaves_the_scores_as_they_are(decoder):
    model, images = build_seeded(decoder, Outputs(13, 0, 6)).eval(), torch.rand(2, 1, 32, 80)
    with torch.no_grad():
        before, attention, after = model(images), model.attend(images), model(images)
    torch.testing.assert_close(before.steps, after.steps, rtol=0, atol=0)
    if attention is None:
        assert decoder not in {"attention_lstm", "queries", "slots"}
        return
    assert attention.shape == (2, before.steps.shape[1], 10)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 6))
    assert (attention[0] - attention[1]).abs().max() > 0


@pytest.mark.parametrize("layout", sorted({reader.layout for reader in models.DECODERS.values()}))
def test_each_layout_has_a_default_that_a_new_decoder_cannot_change(layout):
    default = models.default_decoder(layout)
    assert default == layout
    models.DECODERS.update({"a_new_one": models.DECODERS[layout]})
    try:
        assert models.default_decoder(layout) == default
    finally:
        del models.DECODERS["a_new_one"]


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="two decoders are called 'slots'"):
        register("slots")(SlotReader)
