"""Backbones: images -> feature maps, with the width stride that the decoder needs."""

from __future__ import annotations

import warnings
from http.client import HTTPException
from typing import Literal

import torch
from torch import Tensor, nn

from models.feature_maps import without_classifier
from models.meta import run_on_meta
from models.trunks import TRUNKS
from models.width_stride import SIZE, WidthStrideError, set_width_stride

# torchvision is imported where one of its models is asked for: it takes longer than torch itself.

# Channel means and deviations of ImageNet, in 0..1: what torchvision's weights were trained with. A
# trunk for grey images has the average of the three.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

# BatchNorm's usual one, torch's own default.
_MOMENTUM = 0.1

# Their features are patches in a sequence or in windows, not a map whose width can be kept.
_TRANSFORMERS = ("vit_", "swin_", "maxvit_")


class BackboneError(ValueError):
    """A backbone that does not exist, cannot have the stride, or whose weights are out of reach."""


class Trunk(nn.Module):
    """Images (N, 1 or 3, H, W) in 0..1 -> feature maps (N, channels, H', W / width_stride).

    A width that is no multiple of the stride gives the columns rounded down or up, as the layers
    have it.

    image_channels: those that the layers see; grey images are repeated for layers that see three.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, width_stride: int, image_channels: int = 3) -> None:
        super().__init__()
        self.layers = layers
        for name, values in (("mean", _MEAN), ("std", _STD)):
            of_channels = torch.tensor(values).view(1, 3, 1, 1)
            if image_channels == 1:
                of_channels = of_channels.mean(dim=1, keepdim=True)
            self.register_buffer(name, of_channels, persistent=False)
        set_width_stride(layers, width_stride, image_channels)
        self.channels = int(run_on_meta(layers, (image_channels, *SIZE)).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.std
        features: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        return features


def backbone_names() -> list[str]:
    """All backbones: our own and torchvision's classifiers, but for its transformers."""
    from torchvision import models

    classifiers = models.list_models(module=models)
    return [*TRUNKS, *(name for name in classifiers if not name.startswith(_TRANSFORMERS))]


def refuse_transformers(name: str) -> None:
    """Raise BackboneError for one of torchvision's transformers."""
    if name.startswith(_TRANSFORMERS):
        raise BackboneError(
            f"{name} is a transformer, whose features have no width stride: choose a "
            "convolutional backbone"
        )


def build_trunk(
    name: str, width_stride: int, pretrained: Literal["none", "imagenet"], channels: int = 1
) -> Trunk:
    """The trunk of a backbone. Raises BackboneError.

    Any convolutional classifier of torchvision can be one, under its own names of parameters. It
    sees three channels whatever the images have; a trunk of our own sees as many as they have.

    channels: of the images, 1 or 3.
    """
    refuse_transformers(name)
    if name not in TRUNKS and name not in backbone_names():
        raise BackboneError(f"there is no backbone {name!r}")
    if name in TRUNKS and pretrained != "none":
        raise BackboneError(f"{name} has no pretrained weights: set pretrained=none")
    try:
        if name in TRUNKS:
            return Trunk(TRUNKS[name](channels), width_stride, channels)
        return Trunk(_classifier_trunk(name, pretrained), width_stride)
    except WidthStrideError as error:
        raise BackboneError(f"{name}: {error}") from error


def _classifier_trunk(name: str, pretrained: Literal["none", "imagenet"]) -> nn.Module:
    from torchvision import models

    try:
        with warnings.catch_warnings():
            # Of an initialisation that a later torchvision may have: the version is pinned.
            warnings.simplefilter("ignore", FutureWarning)
            model = models.get_model(name, weights="DEFAULT" if pretrained == "imagenet" else None)
    except (OSError, RuntimeError, HTTPException) as error:
        raise BackboneError(
            f"the ImageNet weights of {name} could not be fetched ({error}): put the file into "
            f"{torch.hub.get_dir()}/checkpoints, or set pretrained=none"
        ) from error
    if pretrained == "none":
        # torchvision's momenta fit its own training of hundreds of epochs: at mnasnet's 0.0003 a
        # short run ends before the running statistics are those of its images.
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _MOMENTUM
    return without_classifier(model)
