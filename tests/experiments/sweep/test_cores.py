"""The cores that a container leaves, from made files as Linux shows them."""

import os

import pytest

from experiments.sweep import cores as room
from experiments.sweep.cores import cores

V1 = {"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Eight cores, of which the groups allow a part; returns how many are left."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def make(cgroup, files):
        proc, sys = tmp_path / "proc", tmp_path / "sys"
        (proc / "self").mkdir(parents=True)
        (proc / "self/cgroup").write_text(cgroup)
        for name, content in files.items():
            (sys / name).parent.mkdir(parents=True, exist_ok=True)
            (sys / name).write_text(content)
        return cores(proc, sys)

    return make


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        pytest.param("0::/\n", {}, 8, id="no groups"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 8, id="no limit"),
        pytest.param("0::/\n", {"cpu.max": "100000 100000\n"}, 1, id="docker --cpus=1"),
        pytest.param("0::/\n", {"cpu.max": "50000 100000\n"}, 1, id="half a core"),
        pytest.param("0::/\n", {"cpu.max": "350000 100000\n"}, 3, id="three and a half"),
        pytest.param("0::/\n", {"cpu.max": "1600000 100000\n"}, 8, id="more than there are"),
        pytest.param("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n"}, 2, id="own group"),
        pytest.param(
            "0::/a/b\n",
            {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"},
            2,
            id="the group around it",
        ),
        pytest.param("0::/host/path\n", {"cpu.max": "200000 100000\n"}, 2, id="a path of the host"),
        pytest.param("0::/\n", {"cpu.max": "what?\n"}, 8, id="not understood"),
        pytest.param(
            "3:cpu,cpuacct:/a\n", {f"cpu/a/{k}": v for k, v in V1.items()}, 1, id="version 1"
        ),
        pytest.param(
            "3:cpu,cpuacct:/a\n",
            {f"cpu,cpuacct/{k}": v for k, v in V1.items()},
            1,
            id="version 1, a path of the host",
        ),
        pytest.param(
            "3:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            8,
            id="version 1, no limit",
        ),
        pytest.param("5:memory:/a\n", {f"cpu/a/{k}": v for k, v in V1.items()}, 8, id="not ours"),
    ],
)
def test_a_quota_leaves_so_many_cores(machine, cgroup, files, expected):
    assert machine(cgroup, files) == expected


def test_without_groups_it_is_the_affinity_or_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert cores(tmp_path, tmp_path) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(room.os, "cpu_count", lambda: 3)
    assert cores(tmp_path, tmp_path) == 3
