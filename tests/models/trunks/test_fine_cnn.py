"""Small things are seen at full size first, at hardly more cost."""

import torch
from torch import nn

import models
from models.backbones import build_trunk


def first_map(name, images):
    """What the first convolution makes of images."""
    trunk = build_trunk(name, 4, "none").eval()
    seen = []
    convolution = next(m for m in trunk.modules() if isinstance(m, nn.Conv2d))
    convolution.register_forward_hook(lambda _module, _given, maps: seen.append(maps))
    with torch.no_grad():
        trunk(images)
    return seen[0]


def test_its_first_layer_has_a_place_for_every_pixel_of_the_image():
    images = torch.rand((2, 1, 32, 60))
    assert first_map("fine_cnn", images).shape == (2, 16, 32, 60)
    assert first_map("even_cnn", images).shape == (2, 16, 16, 30)


def test_it_costs_at_most_a_twentieth_more_than_even_cnn():
    costs = [
        models.cost.count_multiply_adds(
            models.build(name, 4, "columns", models.Outputs(13)), (1, 32, 60)
        )
        for name in ("fine_cnn", "even_cnn")
    ]
    assert costs[0] < 1.05 * costs[1]
