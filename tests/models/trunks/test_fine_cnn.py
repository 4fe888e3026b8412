"""A faint image is a strong one to this trunk, and small things are seen at full size first."""

import pytest
import torch
from torch import nn

import models
from models.backbones import build_trunk
from models.trunks.fine_cnn import fine_cnn
from models.trunks.small_cnn import small_cnn


@pytest.fixture
def trunk():
    torch.manual_seed(4)
    return build_trunk("fine_cnn", 4, "none").double().eval()


def image(channels=1):
    stream = torch.Generator().manual_seed(1)
    return torch.rand((1, channels, 32, 60), dtype=torch.float64, generator=stream)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast_of_an_image_change_little(channels):
    changes = {}
    for name in ("fine_cnn", "small_cnn"):
        torch.manual_seed(4)
        trunk = build_trunk(name, 4, "none", channels).double().eval()
        strong = image(channels)
        with torch.no_grad():
            seen, faint = trunk(strong), trunk(0.6 + 0.3 * strong)
        changes[name] = (seen - faint).square().mean().sqrt() / seen.std()
    assert changes["fine_cnn"] < 0.1
    assert changes["small_cnn"] > 0.5


def test_an_empty_image_is_not_blown_up(trunk):
    speck = torch.full((1, 1, 32, 60), 0.8, dtype=torch.float64)
    speck[0, 0, 16, 30] -= 0.004  # a grey level in one pixel
    with torch.no_grad():
        plain = trunk(torch.full_like(speck, 0.8))
        assert (trunk(speck) - plain).abs().max() < 0.1 * trunk(image()).std()


@pytest.mark.parametrize("height", [16, 24, 32, 40, 56])
def test_its_last_windows_miss_no_row(trunk, height):
    """What is changed in any row of the image is seen."""
    given = image().expand(1, 1, 32, 60)[:, :, :1].expand(1, 1, height, 60).contiguous()
    with torch.no_grad():
        before = trunk(given)
        for row in range(height):
            changed = given.clone()
            changed[0, 0, row] = 1 - changed[0, 0, row]
            assert (trunk(changed) - before).abs().max() > 1e-6, row


def test_its_first_layer_has_a_place_for_every_pixel_of_the_image(trunk):
    seen = []
    first = next(module for module in trunk.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda _module, _given, maps: seen.append(maps.shape))
    with torch.no_grad():
        trunk(image())
    assert seen == [(1, 16, 32, 60)]


def test_it_costs_less_than_small_cnn():
    costs = []
    for name in ("fine_cnn", "small_cnn"):
        model = models.build(name, 4, "columns", models.Outputs(13))
        costs.append(models.cost.count_multiply_adds(model, (1, 32, 60)))
    assert costs[0] < 0.66 * costs[1]
    parameters = [sum(p.numel() for p in net(1).parameters()) for net in (fine_cnn, small_cnn)]
    assert parameters[0] < parameters[1]
