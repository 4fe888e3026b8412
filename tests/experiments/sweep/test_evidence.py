"""The command that writes what a text about a preset rests on."""

import json

import pandas as pd
import pytest


def preset_of(store, file):
    """A preset whose arms are the runs of the store; returns its name."""
    lines = ["[run]"]
    for place, decoder in enumerate(store.runs):
        settings = json.loads((store.artifacts(decoder) / "config.json").read_text())
        if not place:
            shared = ("epochs", "batch_size", "width_stride", "hidden", "max_length")
            lines += [f"{key} = {settings[key]}" for key in shared]
        lines += ["[[grid]]", f'loss = ["{settings["loss"]}"]', f'decoder = ["{decoder}"]']
        lines += [f'"image.{key}" = [{value}]' for key, value in settings["image"].items()]
    file.write_text("\n".join(lines))
    return str(file)


def test_the_tables_of_a_preset(cli, store, tmp_path):
    preset = preset_of(store, tmp_path / "two.toml")
    kept = tmp_path / "kept"
    asked = ("evidence", "--preset", preset, "--data", store.data, "--out", store.out)
    code, out, _ = cli(*asked, "--output", kept)
    assert code == 0
    assert out.split() == [str(kept / "two.csv"), str(kept / "two_right.csv")]
    runs, right = pd.read_csv(kept / "two.csv"), pd.read_csv(kept / "two_right.csv")
    assert sorted(runs["run_id"]) == sorted(store.runs.values())
    tested = right[right["split"] == "test"]
    for _, run in runs.iterrows():
        assert tested[run["run_id"]].mean() == pytest.approx(run["test"])

    before = (kept / "two.csv").read_bytes()
    code, _, error = cli(*asked, "--output", kept)
    assert code == 2
    assert error.count("\n") == 1
    assert f"{kept / 'two.csv'}: exists already" in error
    assert (kept / "two.csv").read_bytes() == before

    for place in (kept / "two.csv", kept / "two.csv" / "below"):
        code, _, error = cli(*asked, "--output", place)
        assert (code, error.count("\n")) == (2, 1)
        assert f"--output {place}: is no folder" in error


def test_a_preset_of_which_nothing_is_finished(cli, store, tmp_path):
    asked = ("evidence", "--preset", "smoke", "--data", store.data, "--out", store.out)
    code, _, error = cli(*asked, "--output", tmp_path / "kept")
    assert code == 2
    assert error.count("\n") == 1
    assert "no finished run of smoke on this data; make them with: make ablation" in error
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("command", [["evidence", "--output", "kept"], ["ensemble"]])
def test_where_there_are_no_runs_nothing_is_made(cli, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, _, error = cli(*command, "--preset", "quick", "--out", tmp_path / "none")
    assert code == 2
    assert error.count("\n") == 1
    assert "no runs here" in error
    assert not list(tmp_path.iterdir())
