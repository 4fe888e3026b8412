"""Backbones of our own: images -> feature maps.

A new one is one new file in this folder: a function under `@register("name")` that gives its layers
for so many channels (see `models.trunks.base`). Everything else finds it by itself.
"""

from models.trunks.base import TRUNKS

__all__ = ["TRUNKS"]

TRUNKS.fill_from(__name__)
