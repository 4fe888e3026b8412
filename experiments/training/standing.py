"""How far a run is, in a file of its folder: for the process that started it to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from experiments.files import DamagedError, read_checked, write_checked
from experiments.training.state import Progress

_FILE = "progress.json"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Standing:
    """What a run has come to, and whether that is all."""

    progress: Progress = field(default_factory=Progress)
    done: bool = False

    @property
    def val(self) -> list[float]:
        """Exact match on validation after each epoch."""
        return [metrics["val.exact_match"] for metrics in self.progress.history]


def write_standing(folder: Path, standing: Standing, owner: str) -> None:
    """Put it in the folder, which is made where it is not there, whole or not at all.

    owner: the hash of the run, which no other run has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_checked(folder / _FILE, asdict(standing) | {"owner": owner})


def forget_standing(folder: Path) -> None:
    """Of a run that begins anew: what an earlier one had come to is not its own."""
    (folder / _FILE).unlink(missing_ok=True)


def epochs_kept(folder: Path, owner: str) -> int:
    """How many epochs a run would not train again: none without a checkpoint to go on from."""
    if not (folder / CHECKPOINT).is_file():
        return 0
    return len(read_standing(folder, owner).progress.history)


def read_standing(folder: Path, owner: str, aloud: bool = False) -> Standing:
    """What stands there: nothing yet where nothing does, or nothing that is whole and of this run.

    aloud: say of a file that is not whole, or another run's, that it does not count.
    """
    try:
        content = read_checked(folder / _FILE)
        if content["owner"] != owner:
            raise DamagedError(f"{folder / _FILE}: belongs to the run {content['owner']}")
        return Standing(Progress(**content["progress"]), content["done"])
    except FileNotFoundError:
        return Standing()
    except (DamagedError, KeyError, TypeError) as error:
        if aloud:
            print(f"{error}; it does not count")
        return Standing()
