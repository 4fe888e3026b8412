"""A Ray cluster of two nodes on this machine makes what is made without one, to the bit.

Also where a node is killed in the middle: its runs go on elsewhere, and nothing is made twice.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from experiments.sweep.cores import cores
from tests.bench import OF_COMMANDS, Bench, found, tried

pytest.importorskip("ray", reason="needs Ray: pip install --editable '.[ray]'")

RAY = Path(sys.executable).with_name("ray")
STORE = ("--object-store-memory", str(80 * 2**20))


class Cluster:
    """A head without CPUs, which is never killed, and two nodes with half of the cores each.

    Each has an address of its own in 127.0.0.0/8. Whoever lacks the token is refused.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.create_server(("127.0.0.2", 0)) as free:
            port = free.getsockname()[1]
        self.environment = {
            "RAY_ADDRESS": f"127.0.0.2:{port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        head = ("--head", "--port", str(port), "--include-dashboard", "false")
        self._begun: list[psutil.Popen] = []
        self._begin(0, *head, "--temp-dir", str(home))

    def nodes(self) -> list[psutil.Popen]:
        """Both, in place of one that was killed a new one."""
        up = [node for node in self._begun[1:] if node.poll() is None]
        address = ("--address", self.environment["RAY_ADDRESS"])
        up += [self._begin(max(1, cores() // 2), *address) for _ in range(2 - len(up))]
        return up

    def _begin(self, cpus: int, *options: str) -> psutil.Popen:
        last = len(self._begun) + 2
        given = ("--node-ip-address", f"127.0.0.{last}", "--num-cpus", str(cpus))
        said = self._home / f"{last}.log"
        with said.open("wb") as log:
            node = psutil.Popen(
                [RAY, "start", "--block", "--num-gpus", "0", *given, *STORE, *options],
                env=os.environ | OF_COMMANDS | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._begun.append(node)
        while "Ray runtime started" not in said.read_text():
            assert node.poll() is None, said.read_text()
            time.sleep(0.2)
        return node

    def end(self) -> None:
        """Leave no process of it."""
        for node in self._begun:
            kill(node)


def kill(node: psutil.Popen) -> None:
    """SIGKILL to a node and all that it began, as when a machine loses its power."""
    with suppress(psutil.NoSuchProcess):
        for one in (node, *node.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        node.wait()


def said_by(process: psutil.Process) -> list[str]:
    """Its command line; empty where it is gone."""
    with suppress(psutil.NoSuchProcess):
        return list(process.cmdline())
    return []


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not below pytest's folder: the name of a socket has at most 107 characters.
    home = Path(tempfile.mkdtemp(prefix="ray-"))
    made = Cluster(home)
    yield made
    made.end()
    shutil.rmtree(home)


def trains(node: psutil.Process) -> bool:
    """Whether a run or a trial of the node has kept a checkpoint, and goes on."""
    for process in node.children(recursive=True):
        line = said_by(process)
        if "experiments" not in line:
            continue
        if "train" in line:
            folder = Path(line[line.index("--config") + 1]).parent
        elif "trial" in line:
            folder = Path(line[line.index("trial") + 1])
        else:
            continue
        if (folder / "checkpoint.safetensors").exists():
            return True
    return False


def went_on(out: Path) -> int:
    """How many runs and trials began, at last, at a later epoch than the first."""
    logs = [*out.glob("logs/*.log"), *out.glob("search/*/*/*/log.txt")]
    said = (log.read_text(encoding="utf-8") for log in logs)
    firsts = [re.search(r"epoch +(\d+)", text) for text in said]
    return sum(first is not None and int(first[1]) > 1 for first in firsts)


@pytest.mark.long
@pytest.mark.parametrize("command", ["ablation", "search"])
def test_a_node_is_killed_in_the_middle(command, cluster, tmp_path):
    bench = Bench(command, tmp_path)
    bench.finish(tmp_path / "whole")
    out = tmp_path / "broken"
    _, victim = cluster.nodes()
    process = bench.start(out, "--engine", "ray", **cluster.environment)
    while not trains(victim):
        assert process.poll() is None, bench.said(out)
        time.sleep(0.05)
    kill(victim)
    assert process.wait() == 0, bench.said(out)
    assert found(out) == found(tmp_path / "whole")
    assert tried(out) == tried(tmp_path / "whole")
    assert len(tried(out)) == (2 if command == "search" else 0)
    assert went_on(out) == 1


def killed(process: psutil.Popen, bench: Bench, out: Path, nodes: list[psutil.Process]) -> None:
    """Kill the command alone while a run trains; none of its runs is left soon after."""
    while not any(map(trains, nodes)):
        assert process.poll() is None, bench.said(out)
        time.sleep(0.05)
    begun = [one for node in nodes for one in node.children(recursive=True)]
    runs = [one for one in begun if "experiments" in said_by(one)]
    assert runs
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(runs, timeout=120)
    assert not alive


@pytest.mark.long
def test_runs_on_a_cluster_end_with_their_command_that_is_killed(cluster, tmp_path):
    bench, out = Bench("ablation", tmp_path), tmp_path / "out"
    process = bench.start(out, "--engine", "ray", **cluster.environment)
    killed(process, bench, out, cluster.nodes())


@pytest.mark.long
def test_runs_on_a_ray_of_its_own_end_with_a_command_that_is_killed(tmp_path):
    bench, out = Bench("ablation", tmp_path), tmp_path / "out"
    process = bench.start(out, "--engine", "ray", RAY_ADDRESS="")
    killed(process, bench, out, [psutil.Process(process.pid)])
