"""A store of many runs: the report's time and memory, at a tenth of what it is meant for."""

import json
import time
import tracemalloc

import pytest
from mlflow.tracking import MlflowClient

from analysis.report import write_report

RUNS, IMAGES = 100, 2_000


def make_store(out):
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.create_experiment("head-to-head")
    heads = "split,filename,group,clean,part,changed\n"
    images = [("val" if i < 500 else "test", f"{i}.jpg", str(i % 997)) for i in range(IMAGES)]
    about = heads + "".join(
        f"{s},{f},{i},{int(s == 'test')},dev,0\n" for i, (s, f, _) in enumerate(images)
    )
    for number in range(RUNS):
        arm, seed = divmod(number, 10)
        loss, decoder = (("ctc", "columns"), ("ce_stop", "slots"))[arm % 2]
        tags = {"kind": "run", "dataset": "cells", "data_digest": "d", "split": "published"}
        tags |= {"machine": "m", "torch": "t", "mlflow.runName": f"run {number}"}
        tags |= {"run_hash": str(number)}
        run_id = client.create_run(experiment, tags=tags).info.run_id
        for name in ("val.exact_match", "test.exact_match", "test_clean.exact_match", "test.cer"):
            client.log_metric(run_id, name, 0.5)
        client.log_metric(run_id, "train.seconds", 10)
        client.set_terminated(run_id)
        folder = out / "artifacts" / run_id / "artifacts"
        folder.mkdir(parents=True)
        config = {"recipe": 2, "seed": seed, "fold": 0, "loss": loss, "decoder": decoder}
        config |= {
            "backbone": "small_cnn",
            "augmentation": {"name": "none"},
            "epochs": 20 + arm // 2,
        }
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "images.csv").write_text(about)
        rows = [
            f"{s},{f},{t},{t if (int(t) + number) % 9 else '1.5'},0.{t or 5},0.1\n"
            for s, f, t in images
        ]
        text = "split,filename,truth,reading,confidence,label_loss\n" + "".join(rows)
        (folder / "predictions.csv").write_text(text)


@pytest.mark.long
def test_a_hundred_runs_take_seconds_and_little_memory(tmp_path):
    make_store(tmp_path)
    tracemalloc.start()
    begun = time.process_time()
    written = write_report(tmp_path, tmp_path / "report")
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(file.is_file() for file in [*written.files, *written.figures])
    assert "10 seeds" in written.answers[0]
    # Tracing takes several times as long.
    assert seconds < 60
    assert peak < 2**29
