"""How far colours differ, by the formula of WCAG 2.2: text asks for 4.5, what is drawn for 3."""

from __future__ import annotations

import re


def contrast(one: str, other: str) -> float:
    """From 1 to 21; colours as #rrggbb."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def palettes(style: str) -> dict[str, dict[str, str]]:
    """The colours that a style sheet names, light and dark."""
    light, dark = re.findall(r":root \{([^}]*--page[^}]*)\}", style)
    named = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
    return {"light": dict(named.findall(light)), "dark": dict(named.findall(dark))}
