"""Augmentation of training images: an image's own draws decide all that happens to it.

Nothing is drawn from a global stream, and nothing depends on the other images of a batch. Paper is
taken to be lighter than ink. Batched torch and Pillow's JPEG: torchvision's transforms draw once a
call, kornia's for a whole batch from the global stream, with a slower JPEG for colours alone.

A new augmentation is one new file in this folder: a subclass of `base.Augmentation` under
`@register("name")`. Everything else finds it by itself.
"""

from experiments.data.augmentation.base import AUGMENTATIONS, Augmentation

__all__ = ["AUGMENTATIONS", "Augmentation"]

AUGMENTATIONS.fill_from(__name__)
