"""Tables for others to open: no cell of them is a formula to a spreadsheet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes a second to import
    import pandas as pd

# What a spreadsheet takes for the begin of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


def no_formula(text: str) -> str:
    """A text that would be a formula behind an apostrophe, unless it is a number such as -5."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def no_formula_name(name: str) -> str:
    """A file's name that would be a formula as the path ./NAME, which names the same file."""
    return f"./{name}" if name.startswith(_FORMULA) else name


def as_csv(table: pd.DataFrame) -> str:
    """A table without its index as CSV, its texts as above; the column `filename` has names."""
    safe = table.copy()
    for column in safe.columns:
        change = no_formula_name if column == "filename" else no_formula
        safe[column] = [change(cell) if isinstance(cell, str) else cell for cell in safe[column]]
    return safe.to_csv(index=False, lineterminator="\n")
