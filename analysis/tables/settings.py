"""The settings of an arm that can be changed one at a time: what is set together is one of them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis.tables.warm_starts import join

_CONFIG = "config."
# Names the column that holds, as one text, what a run has of a setting.
SETTING = "setting."
START = "start"
# Each is one setting, of however many values: an optimiser has a rate and a momentum of its own.
_WHOLE = ("augmentation", "optimizer", "image")
# What comes with another setting: so many numbers suit a decoder, so few time steps need leave.
_COMES_WITH = {"hidden": "decoder", "loss_options.allow_infeasible": "width_stride"}


def settings(config: pd.DataFrame, start: pd.Series) -> pd.DataFrame:
    """(runs, settings) columns `setting.NAME`; equal texts where two runs have the same of it.

    config: columns `config.NAME`. start: what each run started from, as a text.
    """
    found = {
        SETTING + name: join(config[columns]) for name, columns in _members(config.columns).items()
    }
    return pd.DataFrame(found, index=config.index).assign(**{SETTING + START: start})


def told_apart(first: pd.Series, second: pd.Series, setting: str) -> tuple[str, str]:
    """What each of two runs that differ in a setting has of it, for people.

    first, second: rows of a section's runs. A choice by its name, its own values as `key=value`
    where both have them and they differ.
    """
    rows = first, second
    if setting == START:
        # A chain of runs, which the names of arms end with.
        one, other = (str(row["label"]).partition(f" {START}=")[2] or "nothing" for row in rows)
        return one, other
    words: tuple[list[str], list[str]] = ([], [])
    # What only one of them has goes without saying, unless there is nothing else to say.
    only: tuple[list[str], list[str]] = ([], [])
    for column in _members(first.index)[setting]:
        # Without blanks, which separate what is said.
        values = [("" if pd.isna(v := row[column]) else str(v).replace(" ", "")) for row in rows]
        if values[0] == values[1]:
            continue
        name = column.removeprefix(_CONFIG)
        if name in (setting, f"{setting}.name"):
            for said, value in zip(words, values, strict=True):
                said.insert(0, value or "without")
            continue
        key = name.rpartition(".")[2]
        for said, value in zip(words if all(values) else only, values, strict=True):
            said.extend([f"{key}={value}"] if value else [])
    one, other = (" ".join(said) or "without" for said in (words if any(words) else only))
    return one, other


def _members(columns: Iterable[object]) -> dict[str, list[str]]:
    """The columns of each setting, among all of a table's."""
    members: dict[str, list[str]] = {}
    for column in sorted(str(c) for c in columns if str(c).startswith(_CONFIG)):
        name = column.removeprefix(_CONFIG)
        whole = name.partition(".")[0]
        setting = whole if whole in _WHOLE else _COMES_WITH.get(name, name)
        members.setdefault(setting, []).append(column)
    return members
