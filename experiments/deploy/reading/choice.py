"""Which model is meant: a run's, the champion, a reader that comes with the suite, or several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from analysis.place import place_of
from experiments.errors import UserError
from experiments.readers import reader_folder, reader_names

# The one that reads where nothing else is named.
_FIRST = "ctc"


class Chosen(NamedTuple):
    """What reads.

    members: the folder of each model. views: of each image, see experiments.deploy.reading.voting.
    judged: where the readings of its validation part are; None where nobody judged these together.
    """

    members: list[Path]
    views: int
    judged: Path | None


def choose(runs: list[str], out: Path) -> Chosen:
    """Several that are named read together. Raises UserError.

    runs: each as for `artifacts_of_reader`, or the id of one ensemble; without any, what that takes
        by default.
    """
    if len(runs) == 1 and runs[0] not in reader_names() and place_of(out).is_there():
        from experiments.deploy.registry import Registry

        if (together := Registry(out).together(runs[0])) is not None:
            return Chosen(*together)
    if len(set(runs)) < len(runs):
        raise UserError(f"--run {' --run '.join(runs)}: one of them twice; name each once")
    folders = [artifacts_of_reader(run, out) for run in runs] or [artifacts_of_reader(None, out)]
    return Chosen(folders, 1, folders[0] if len(folders) == 1 else None)


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
