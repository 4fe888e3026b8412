"""What holds of every backbone of our own; a new one is found here by itself."""

import pytest
import torch
from torch import nn

from models import BackboneError
from models.backbones import build_trunk
from models.trunks import TRUNKS
from models.trunks.base import register


def own_stride(name):
    """How many pixels of the width a column stands for, as the layers come."""
    with torch.no_grad():
        return 256 // TRUNKS[name](3).eval()(torch.zeros(1, 3, 64, 256)).shape[-1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", TRUNKS)
def test_the_first_layer_takes_the_channels_that_are_asked_for(name, channels):
    with torch.no_grad():
        features = TRUNKS[name](channels).eval()(torch.rand(2, channels, 32, 64))
    assert features.dim() == 4
    assert len(features) == 2


@pytest.mark.parametrize("name", TRUNKS)
def test_every_halving_of_its_width_stride_can_be_had_and_no_more_than_its_own(name):
    own = own_stride(name)
    assert own >= 4  # what the presets ask for
    for stride in (own, own // 2, own // 4):
        with torch.no_grad():
            trunk = build_trunk(name, stride, "none").eval()
            assert trunk(torch.zeros(1, 1, 32, 64)).shape[-1] == 64 // stride
    with pytest.raises(BackboneError, match=f"{name}: .*{2 * own} cannot be had"):
        build_trunk(name, 2 * own, "none")


@pytest.mark.parametrize("name", TRUNKS)
def test_training_reaches_every_weight_and_the_seed_decides_them(name):
    torch.manual_seed(3)
    trunk = build_trunk(name, 4, "none")
    torch.manual_seed(3)
    again = build_trunk(name, 4, "none")
    for one, other in zip(trunk.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    trunk(torch.rand(2, 1, 32, 64)).square().mean().backward()
    for key, parameter in trunk.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", TRUNKS)
def test_images_of_a_batch_know_nothing_of_each_other(name):
    trunk = build_trunk(name, 4, "none").eval()
    images = torch.rand(3, 1, 32, 64)
    with torch.no_grad():
        alone = torch.cat([trunk(image[None]) for image in images])
        torch.testing.assert_close(trunk(images), alone, rtol=1e-4, atol=1e-5)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="two backbones are called 'small_cnn'"):
        register("small_cnn")(lambda channels: nn.Conv2d(channels, 1, 1))
