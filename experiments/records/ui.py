"""MLflow's own pages of a folder's store."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlencode

from analysis.record import EXPERIMENT, STORE, address
from experiments.ports import listening
from experiments.records.store import check_store, look
from experiments.records.views import VIEW, chosen, name_of

# MLflow's pages for models in training: by default it shows those for language models.
_TRAINING = "workflowType=machine_learning"


def browse(out: Path, port: int) -> NoReturn:
    """Become MLflow's own pages of the store of `out`, on this machine alone. Raises UserError."""
    check_store(out)
    listening(port).close()  # one that is taken is said here, in a line
    for what, link in _links(out, port).items():
        print(f"{what + ':':<14}{link}", flush=True)
    # -P: a folder named `mlflow` where the user stands is not the library.
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--host", "127.0.0.1"]
    # For one person; a worker takes seconds to start.
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", address(out)]
    # MLflow's options have variables: another project's would show its models beside our runs.
    kept = {name: value for name, value in os.environ.items() if "MLFLOW_" not in name}
    # It would start a process a kind of job for the evaluation of language models.
    set_ = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(sys.executable, command, kept | set_)


def _links(out: Path, port: int) -> dict[str, str]:
    """Pages to begin at, by what they show."""
    with closing(look(out / STORE)) as database:
        found = database.execute(
            "SELECT experiment_id FROM experiments WHERE name = ?", [EXPERIMENT]
        ).fetchone()
        keys = "SELECT key FROM experiment_tags WHERE experiment_id = ?"
        tags = {key for (key,) in database.execute(keys, found or [None])}
    page = f"http://127.0.0.1:{port}/#"
    if found is None:
        return {"runs": f"{page}?{_TRAINING}"}
    of_experiment = f"{page}/experiments/{found[0]}"

    def listed(kind: str) -> str:
        if VIEW + name_of(kind) in tags:  # not in an older store, or once somebody has deleted it
            asked = urlencode({"viewStateShareKey": name_of(kind)})
        else:
            asked = urlencode(chosen(kind) | {"orderByAsc": "false"}, quote_via=quote)
        return f"{of_experiment}/runs?{asked}&{_TRAINING}"

    each = listed("run")
    return {
        "arms": listed("arm"),
        "runs": each,
        "curves": f"{each}&compareRunsMode=CHART",
        "models": f"{of_experiment}/models?{_TRAINING}",
        "champion": f"{page}/models?{_TRAINING}",
    }
