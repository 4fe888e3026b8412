"""Running a model on shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def run_on_meta(module: nn.Module, image_shape: tuple[int, int, int]) -> Any:
    """What the module gives for one image (C, H, W) in evaluation mode, as shapes alone.

    Nothing is computed, drawn or changed, and it does not matter where the weights are.
    """
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in named.items()}
    image = torch.zeros((1, *image_shape), device="meta")
    was_training = module.training
    with torch.no_grad():
        output = torch.func.functional_call(module.eval(), weights, (image,))
    module.train(was_training)
    return output
