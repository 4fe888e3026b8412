"""Which model is meant: a run's, the champion, or a reader that comes with the suite."""

from __future__ import annotations

import sys
from pathlib import Path

from analysis.place import place_of
from experiments.readers import reader_folder, reader_names

# The one that reads where nothing else is named.
_FIRST = "ctc"


def artifacts_of_reader(run: str | None, out: Path) -> Path:
    """The folder of a finished run, of the champion, or of a reader that comes with the suite.

    run: an MLflow id, 'champion' or a reader's name; by default the champion, or a reader where
        there is none, which is said on standard error. Raises UserError.
    """
    names = reader_names()
    if run in names:
        return reader_folder(run)
    none_yet = not place_of(out).is_there()
    if run is None and none_yet and _FIRST in names:
        return _first(out)
    # MLflow takes seconds to import.
    from experiments.deploy.registry import CHAMPION, NoChampionError, Registry

    try:
        return Registry(out).artifacts(run or CHAMPION)
    except NoChampionError:
        if run is None and _FIRST in names:
            return _first(out)
        raise


def _first(out: Path) -> Path:
    print(
        f"no champion in {out}: reads with {_FIRST}, which comes with the suite "
        f"({reader_folder(_FIRST) / 'README.md'})",
        file=sys.stderr,
    )
    return reader_folder(_FIRST)
