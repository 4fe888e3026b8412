"""Backbones: images -> feature maps, with the width stride that the decoder needs."""

from __future__ import annotations

from http.client import HTTPException
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from models.small_cnn import small_cnn

# Channel means and deviations of ImageNet, in 0..1: what torchvision's weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

# torchvision's classifiers end in one of these; what comes before is the trunk.
_CLASSIFIER_PARTS = {"avgpool", "classifier", "fc", "head"}

_Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


class BackboneError(ValueError):
    """A backbone that does not exist, cannot have the stride, or whose weights are out of reach."""


class Trunk(nn.Module):
    """Images (N, 1 or 3, H, W) in 0..1 -> feature maps (N, channels, H', W / width_stride).

    Grey images are repeated to three channels, so that every backbone takes both.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, width_stride: int) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        _set_width_stride(layers, width_stride)
        self.channels = int(_dry_run(layers, 64).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.std
        features: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        return features


def backbone_names() -> list[str]:
    """All backbones: our small one and torchvision's classifiers."""
    return ["small_cnn", *torchvision.models.list_models(module=torchvision.models)]


def build_trunk(name: str, width_stride: int, pretrained: Literal["none", "imagenet"]) -> Trunk:
    """The trunk of a backbone. Raises BackboneError.

    Any torchvision classifier whose convolutions stand in a row can be one. Where a family pads its
    windows unevenly (convnext, squeezenet), a row of features may be a few columns short.
    """
    if name == "small_cnn":
        if pretrained != "none":
            raise BackboneError("small_cnn has no pretrained weights: set pretrained=none")
        return Trunk(small_cnn(), width_stride)
    if name not in backbone_names():
        raise BackboneError(f"there is no backbone {name!r}")
    try:
        model = torchvision.models.get_model(
            name, weights="DEFAULT" if pretrained == "imagenet" else None
        )
    except (OSError, RuntimeError, HTTPException) as error:
        raise BackboneError(
            f"the ImageNet weights of {name} could not be fetched ({error}): put the file into "
            f"{torch.hub.get_dir()}/checkpoints, or set pretrained=none"
        ) from error
    layers = []
    for part, module in model.named_children():
        if part in _CLASSIFIER_PARTS:
            break
        layers.append(module)
    try:
        return Trunk(nn.Sequential(*layers), width_stride)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        if isinstance(error, BackboneError):
            raise
        raise BackboneError(
            f"{name} cannot be used as a trunk ({error}): choose another"
        ) from error


def _set_width_stride(layers: nn.Module, wanted: int) -> None:
    """Take width strides out of the deepest layers until `wanted` is left.

    Layers that see the same width are branches of one stage (a block and its shortcut) and are
    changed together. This needs no knowledge of the family; the height keeps its strides, so the
    receptive field stays what it was and pretrained weights still fit.
    """
    stages: dict[int, list[_Strided]] = {}

    def note(module: _Strided, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.shape[-1] > 1 and _pair(module.stride)[1] > 1:
            stages.setdefault(inputs[0].shape[-1], []).append(module)

    hooks = [m.register_forward_hook(note) for m in layers.modules() if isinstance(m, _Strided)]
    width = 256
    stride = round(width / _dry_run(layers, width).shape[-1])
    for hook in hooks:
        hook.remove()
    while stride > wanted and stages:
        stage = stages.pop(min(stages))
        old = max(_pair(module.stride)[1] for module in stage)
        new = max(1, old * wanted // stride)
        for module in stage:
            module.stride = (_pair(module.stride)[0], new)
            if not isinstance(module, nn.Conv2d) and _pair(module.kernel_size)[1] == 2:
                # A pool over two that no longer halves would shorten the sequence by one.
                module.kernel_size = (_pair(module.kernel_size)[0], 1)
        stride = stride * new // old
    if stride != wanted:
        raise BackboneError(
            f"a width stride of {wanted} cannot be had here (closest: {stride}): choose a power "
            "of two up to the backbone's own stride"
        )


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _dry_run(layers: nn.Module, size: int) -> Tensor:
    """The features of one blank image of size x size, leaving batch statistics as they are."""
    was_training = layers.training
    with torch.no_grad():
        features: Tensor = layers.eval()(torch.zeros((1, 3, size, size)))
    layers.train(was_training)
    return features
