"""A faint image is a strong one to this trunk, and to fine_cnn, which is built on it."""

import pytest
import torch

import models
from models.backbones import build_trunk
from models.trunks.even_cnn import even_cnn
from models.trunks.small_cnn import small_cnn

EVEN = ("even_cnn", "fine_cnn")


@pytest.fixture(params=EVEN)
def trunk(request):
    torch.manual_seed(4)
    return build_trunk(request.param, 4, "none").double().eval()


def image(channels=1):
    stream = torch.Generator().manual_seed(1)
    return torch.rand((1, channels, 32, 60), dtype=torch.float64, generator=stream)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast_of_an_image_change_little(channels):
    changes = {}
    for name in (*EVEN, "small_cnn"):
        torch.manual_seed(4)
        trunk = build_trunk(name, 4, "none", channels).double().eval()
        strong = image(channels)
        with torch.no_grad():
            seen, faint = trunk(strong), trunk(0.6 + 0.3 * strong)
        changes[name] = (seen - faint).square().mean().sqrt() / seen.std()
    assert all(changes[name] < 0.1 for name in EVEN)
    assert changes["small_cnn"] > 0.5


@pytest.mark.parametrize(("name", "most"), [("even_cnn", 0.05), ("fine_cnn", 0.1)])
def test_an_empty_image_is_not_blown_up(name, most):
    torch.manual_seed(4)
    trunk = build_trunk(name, 4, "none").double().eval()
    speck = torch.full((1, 1, 32, 60), 0.8, dtype=torch.float64)
    speck[0, 0, 16, 30] -= 0.004  # a grey level in one pixel
    with torch.no_grad():
        plain = trunk(torch.full_like(speck, 0.8))
        assert (trunk(speck) - plain).abs().max() < most * trunk(image()).std()


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


def test_it_costs_less_than_small_cnn():
    costs = []
    for name in ("even_cnn", "small_cnn"):
        model = models.build(name, 4, "columns", models.Outputs(13))
        costs.append(models.cost.count_multiply_adds(model, (1, 32, 60)))
    assert costs[0] < 0.66 * costs[1]
    parameters = [sum(p.numel() for p in net(1).parameters()) for net in (even_cnn, small_cnn)]
    assert parameters[0] < parameters[1]
