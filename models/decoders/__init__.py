"""Decoders: feature maps -> scores.

A new one is one new file in this folder: a subclass of `models.decoders.base.Reader` under
`@register("name")`. Everything else finds it by itself. The default decoder of a layout is the one
that has the layout's name.
"""

from models.decoders.base import DECODERS, Outputs, Reader, Scores

__all__ = ["DECODERS", "Outputs", "Reader", "Scores"]

DECODERS.fill_from(__name__)
