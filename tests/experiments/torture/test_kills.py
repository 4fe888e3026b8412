"""Ablations and searches that are killed again and again end as ones that were never killed.

KILLS in the environment is how many SIGKILLs there are in all (`make torture`).
"""

from __future__ import annotations

import os

import pytest

from tests.bench import Bench, found

KILLS = int(os.environ.get("KILLS", "6"))
# Of one folder; then it is left to finish, and the next one begins with a store that is not there.
KILLS_OF_ONE = 10


@pytest.mark.long
@pytest.mark.parametrize("command", ["ablation", "search"])
def test_nothing_is_lost_doubled_or_another(command, tmp_path):
    bench = Bench(command, tmp_path)
    seconds = bench.finish(tmp_path / "whole")
    expected = found(tmp_path / "whole")
    assert expected
    killed = folders = 0
    while killed < KILLS // 2:
        out = tmp_path / f"broken-{folders}"
        folders += 1
        for _ in range(min(KILLS_OF_ONE, KILLS // 2 - killed)):
            killed += bench.kill(out, seconds)
        bench.finish(out)
        assert found(out) == expected
        print(
            f"{command}: {killed} kills in {folders} folders ({dict(bench.moments)}): none of "
            f"{len(expected)} runs lost, doubled or with other weights or readings",
            flush=True,
        )
