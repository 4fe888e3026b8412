"""Commands that messages name, as a shell takes them: from any folder, without an environment."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from experiments.options import OUT


def ours(*words: str | Path) -> str:
    """A command of this suite, by the program beside the Python that runs."""
    program = Path(sys.executable).with_name("head-to-head")
    # A copy without an installation has the module alone.
    begin = [program] if program.is_file() else [sys.executable, "-m", "experiments"]
    return shlex.join(map(str, [*begin, *words]))


def python(*words: str | Path) -> str:
    """A command of the Python that runs."""
    return shlex.join(map(str, [sys.executable, *words]))


def make(target: str, out: Path, **variables: str | Path | None) -> str:
    """A target of the Makefile; a variable that is None is left out, as is the usual OUT."""
    given = variables | ({} if out == OUT else {"OUT": out})
    return shlex.join(
        ["make", target, *(f"{name}={value}" for name, value in given.items() if value is not None)]
    )
