"""The chapters of the report.

A new one is one new file in this folder: a function of a page and a data set's tables under
`@register("name", place)` (see `analysis.sections.base`). The report finds it by itself.
"""

from analysis.sections.base import SECTIONS, writers

__all__ = ["writers"]

SECTIONS.fill_from(__name__)
