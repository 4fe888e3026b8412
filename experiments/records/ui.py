"""MLflow's own pages of a folder's store."""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

from analysis.record import EXPERIMENT, MODEL, STORE, address
from experiments.ports import HOST, listening
from experiments.records.store import check_store, look
from experiments.records.views import VIEW, chosen, name_of

# MLflow's pages for models in training: by default it shows those for language models.
_TRAINING = "workflowType=machine_learning"


def browse(out: Path, port: int) -> None:
    """Answer with MLflow's own pages of the store of `out`, on this machine alone, until stopped.

    It does not go through `mlflow ui`, which loads MLflow twice: to read its options, and in the
    process that answers. Raises UserError.
    """
    check_store(out)
    listening(port).close()  # one that is taken is said here, in a line
    for what, link in _links(out, port).items():
        print(f"{what + ':':<14}{link}", flush=True)
    # MLflow's options have variables: another project's would show its models beside our runs.
    for name in [name for name in os.environ if "MLFLOW_" in name]:
        del os.environ[name]
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # It would start a process a kind of job for the evaluation of language models.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # Not with the module: MLflow reads the above when it is loaded.
    import uvicorn
    from mlflow.server import constants

    for name in (constants.BACKEND_STORE_URI_ENV_VAR, constants.REGISTRY_STORE_URI_ENV_VAR):
        os.environ[name] = address(out)
    # MLflow's own business.
    warnings.filterwarnings("ignore", "starlette.middleware.wsgi", module="mlflow")
    uvicorn.run("mlflow.server.fastapi_app:app", host=HOST, port=port, log_level="warning")


def _links(out: Path, port: int) -> dict[str, str]:
    """Pages to begin at, by what they show."""
    with closing(look(out / STORE)) as database:
        found = database.execute(
            "SELECT experiment_id FROM experiments WHERE name = ?", [EXPERIMENT]
        ).fetchone()
        registered = database.execute("SELECT name FROM registered_models").fetchall()
        keys = "SELECT key FROM experiment_tags WHERE experiment_id = ?"
        tags = {key for (key,) in database.execute(keys, found or [None])}
    page = f"http://{HOST}:{port}/#"
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
    # The list of models forgets what its address asks for; the page of a model does not.
    model = f"/{MODEL}" if (MODEL,) in registered else ""
    return {
        "arms": listed("arm"),
        "runs": each,
        "curves": f"{each}&compareRunsMode=CHART",
        "models": f"{of_experiment}/models?{_TRAINING}",
        "champion": f"{page}/models{model}?{_TRAINING}",
    }
