"""The chapters of the report.

A new one is one new file in this folder: a function of a page and a data set's tables under
`@register("name", place)` (see `analysis.sections.base`). The report finds it by itself.
"""

import importlib
import pkgutil

from analysis.sections.base import writers

__all__ = ["writers"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
