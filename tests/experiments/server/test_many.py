"""The measurement of many runs, of few."""

import pandas as pd
import pytest

pytest.importorskip("psycopg", reason="needs psycopg: pip install --editable '.[server]'")

from tests.experiments.server import many


@pytest.mark.long
def test_all_of_it_is_measured_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(many, "SIZES", (10, 20, 30))
    monkeypatch.setattr(many, "MOST_FETCHED", 20)
    many.main(tmp_path)
    table = pd.read_csv(tmp_path / "growth.csv")
    assert list(table["runs"]) == [10, 20, 30]
    assert table.isna().sum().to_dict() == {
        **dict.fromkeys(table.columns, 0),
        "loading for a report, first": 1,
    }
    assert (tmp_path / "growth.png").stat().st_size
