"""The command line: head-to-head COMMAND, or from the clone python -m experiments COMMAND."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

# Started by -m, the folder where the user stands comes first: its `models` would be taken for ours.
sys.path.insert(0, str(Path(__file__).parents[1]))

from analysis.place import TRACKING, is_local, place_of
from experiments.deploy import commands as deploy
from experiments.errors import UserError, explain, one_line
from experiments.options import OUT
from experiments.pages import commands as pages
from experiments.records import commands as records
from experiments.search import commands as search
from experiments.speed import commands as speed
from experiments.sweep import commands as sweep
from experiments.sweep.engines.parent import follow_parent

# The commands import what they need when they run: --help and a wrong option answer at once.

app = typer.Typer(
    help="Which head should read handwritten numbers: CTC, or cross-entropy with a stop?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_log = logging.getLogger("experiments")


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Before the command: show where an error came from.")
    ] = False,
    tracking: Annotated[
        str | None,
        typer.Option(
            help="Before the command: the MLflow server that has the runs, as http://HOST:PORT; "
            f"else {TRACKING}, else --out."
        ),
    ] = None,
) -> None:
    """What all commands have in common."""
    if debug:
        _log.setLevel(logging.DEBUG)
    if tracking is not None:
        if is_local(tracking):
            raise UserError(
                f"--tracking {tracking}: is no server; give one as http://HOST:PORT, or --out for "
                "a folder of this machine"
            )
        # For the processes that this one starts as well.
        os.environ[TRACKING] = tracking
        place_of(OUT)  # raises for an address that is none


# In the order of --help.
app.add_typer(sweep.app)
app.add_typer(pages.app)
app.add_typer(speed.app)
app.add_typer(search.app)
app.add_typer(deploy.app)
app.add_typer(records.app)


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(why: str) -> NoReturn:
    """Exit with code 2 and a line."""
    _log.debug("in full:", exc_info=True)
    sys.stderr.write(f"error: {one_line(why)}\n")
    sys.exit(2)


def _wait_briefly() -> None:
    """Let OpenMP's threads sleep soon while they wait for each other; before torch is loaded.

    By default they spin: beside another busy process a step of two threads took 2.7 times as long,
    and 6 times in another trial. Sleeping at once (OMP_WAIT_POLICY=PASSIVE) made the same step half
    as slow again on a quiet machine, so many turns in between made no difference there.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _prepare_output() -> None:
    """What libraries log goes to stderr; what a locale cannot write is escaped."""
    for package in ("experiments", "analysis"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            console = Console(stderr=True, soft_wrap=True)
            logger.addHandler(RichHandler(console=console, show_time=False, show_path=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> NoReturn:
    """Run the command line; 2 is the user's error, 130 an interrupted run."""
    follow_parent()
    _wait_briefly()
    # A parent that stops its runs sends SIGTERM, a closed terminal SIGHUP: stop as for Ctrl-C.
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no closed terminal
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupted)
    _prepare_output()
    try:
        app(prog_name="head-to-head")
    except UserError as error:
        _refuse(str(error))
    except Exception as error:
        if (explained := explain(error)) is None:
            raise  # a bug of ours is a traceback
        _refuse(explained)
    except SystemExit as ended:
        if ended.code == 130:
            sys.stderr.write("stopped; the same command goes on from what is finished\n")
        raise
    sys.exit(0)


if __name__ == "__main__":
    main()
