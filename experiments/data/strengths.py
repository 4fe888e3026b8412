"""How strong each augmentation is: settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from experiments.schema import Fraction, Frozen, Positive
from losses import Range


class Affine(Frozen):
    """Ranges of the `affine` augmentation; the defaults are the published ones.

    degrees, shear: up to this angle either way. translate: fraction of the side. scale: factors.
    """

    # The strengths that a search tries, and from where to where; of the others below as well.
    ranges: ClassVar[Mapping[str, Range]] = {
        "degrees": Range(0, 20),
        "translate": Range(0, 0.2),
        "shear": Range(0, 20),
    }

    degrees: float = Field(10, ge=0, le=180)
    translate: Fraction = 0.1
    scale: tuple[Positive, Positive] = (0.95, 1.1)
    shear: float = Field(3, ge=0, lt=90)

    @field_validator("scale")
    @classmethod
    def _lower_first(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > scale[1]:
            raise ValueError("the lower factor comes first")
        return scale


class Strong(Affine):
    """Ranges of the `strong` augmentation: those of an affine one, and what comes on top.

    elastic: displacement of the points of a coarse mesh, either way, as a fraction of the height.
    contrast: change of the distance from the mean, either way, as a fraction.
    noise: standard deviation, as a fraction of the image's own.
    erasing: area of a rectangle in every second image, from half of this to this, as a fraction.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        **Affine.ranges,
        "elastic": Range(0, 0.1),
        "contrast": Range(0, 0.8),
        "noise": Range(0, 0.8),
        "erasing": Range(0, 0.1),
    }

    elastic: float = Field(0.05, ge=0, le=0.2)
    contrast: Fraction = 0.4
    noise: Fraction = 0.4
    erasing: Fraction = 0.03


class Paper(Frozen):
    """How far the `paper` augmentation goes: each part from nothing up to this.

    fading: how much of its difference from the paper the ink loses.
    lines: darkness of borders and rules. light: depth of a shadow, as a fraction.
    blur: standard deviation, as a fraction of the height.
    noise: standard deviation, as a fraction of the image's own.
    jpeg: points of quality lost, of 100.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "fading": Range(0, 0.9),
        "lines": Range(0, 1),
        "light": Range(0, 0.8),
        "blur": Range(0, 0.05),
        "noise": Range(0, 0.8),
    }

    fading: Fraction = 0.5
    lines: Fraction = 0.5
    light: Fraction = 0.4
    blur: float = Field(0.025, ge=0, le=0.2)
    noise: Fraction = 0.4
    jpeg: int = Field(50, ge=0, le=99)
