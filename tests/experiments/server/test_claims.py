"""Several clients on one server, each with a folder of its own: a run is made by one of them."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from experiments.records import claims
from experiments.records.tracker import Tracker
from experiments.sweep.arm_records import record_arms

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("server")]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.5)
    monkeypatch.setattr(claims, "LOOK", 0.3)
    monkeypatch.setattr(claims, "DEAD", 4.0)


def test_of_many_at_once_one_has_it_at_a_time(tmp_path):
    inside, most, turns = 0, 0, []
    guard = threading.Lock()

    def work(number):
        nonlocal inside, most
        with Tracker(tmp_path / str(number)).claimed("hash"):
            with guard:
                inside += 1
                most = max(most, inside)
                turns.append(number)
            time.sleep(1)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert most == 1
    assert sorted(turns) == [0, 1, 2, 3]


def test_one_that_lives_is_waited_for_and_one_that_is_silent_is_not(tmp_path, monkeypatch):
    begun = time.monotonic()
    alive, taken = threading.Event(), []

    def hold():
        with Tracker(tmp_path / "one").claimed("hash"):
            taken.append("one")
            alive.wait(60)

    def follow():
        with Tracker(tmp_path / "two").claimed("hash"):
            taken.append("two")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(hold)
        while not taken:
            time.sleep(0.1)
        second = threads.submit(follow)
        time.sleep(3 * claims.DEAD)
        assert taken == ["one"]
        # From here on it says nothing more, as one that was killed.
        monkeypatch.setattr(claims.Claims, "_say", lambda *_: None)
        second.result(timeout=60)
        assert taken == ["one", "two"]
        alive.set()
        first.result(timeout=60)
    assert time.monotonic() - begun > 3 * claims.DEAD


def test_a_claim_from_the_same_folder_is_that_of_a_dead_process(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "DEAD", 1000.0)
    killed = Tracker(tmp_path)._claims()
    assert killed._take("hash", 1, f"me@here {killed._here} word")
    killed._say("hash", "1 5")
    with Tracker(tmp_path).claimed("hash"):
        assert killed._heard("hash").startswith("2 ")
    assert killed._heard("hash") == ""


def test_of_many_claims_a_look_reads_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "LOOK", 0.05)
    hashes = [f"hash{number}" for number in range(40)]
    for number, one in enumerate(hashes):
        with Tracker(tmp_path / str(number % 2)).claimed(one):
            pass
    by_part = {one: Tracker(tmp_path / "other")._claims().run_id(one) for one in hashes}
    client = Tracker(tmp_path)._client
    for part in set(by_part.values()):
        found = {one.partition(".")[0] for one in client.get_run(part).data.params}
        assert found == {one for one in hashes if by_part[one] == part}
    assert len(set(by_part.values())) > claims.PARTS / 2
    # Both began with none; what one of them made in vain is gone.
    kept = [run for run in Tracker(tmp_path).all_runs() if run.data.tags["kind"] == claims.KIND]
    assert len(kept) == claims.PARTS + 1


def test_two_that_find_no_claims_agree_on_the_same(tmp_path):
    def first(number):
        return Tracker(tmp_path / str(number))._claims().run_id("hash")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(first, range(4)))) == 1
    kept = [run for run in Tracker(tmp_path).all_runs() if run.data.tags["kind"] == claims.KIND]
    assert len(kept) == claims.PARTS + 1


def test_a_store_with_one_run_for_all_claims_keeps_it(tmp_path):
    tracker = Tracker(tmp_path)
    old = tracker._client.create_run(tracker.experiment_id, tags={"kind": "claims"}, run_name="old")
    tracker._client.set_experiment_tag(tracker.experiment_id, "claims", old.info.run_id)
    with tracker.claimed("hash"):
        assert tracker._claims().run_id("hash") == old.info.run_id
        assert tracker._client.get_run(old.info.run_id).data.tags["hash"] == "1 0"


def test_what_is_being_made_is_known_to_others(tmp_path):
    assert Tracker(tmp_path / "two").being_made() == set()
    with Tracker(tmp_path / "one").claimed("hash"), Tracker(tmp_path / "one").claimed("another"):
        assert Tracker(tmp_path / "two").being_made() == {"hash", "another"}
    assert Tracker(tmp_path / "two").being_made() == set()


def test_turns_that_have_ended_are_not_waited_for_one_by_one(tmp_path, monkeypatch):
    tried = []
    take = claims.Claims._take
    monkeypatch.setattr(claims.Claims, "_take", lambda *a: tried.append(a[2]) or take(*a))
    for number in range(4):
        with Tracker(tmp_path / str(number)).claimed("hash"):
            pass
    assert tried == [1, 1, 2, 2, 3, 3, 4]


def test_two_machines_that_begin_at_once_have_one_parent_and_one_record_an_arm(tmp_path):
    arm = {"name": "ctc", "runs": ["1" * 32], "seeds": 1, "val": 0.5} | dict.fromkeys(
        ("dataset", "data_digest", "split", "loss"), "some"
    )

    def work(number):
        tracker = Tracker(tmp_path / str(number))
        parent = tracker.start_parent("ablation", "key")
        record_arms(pd.DataFrame([arm]), tracker)
        return parent.run_id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(work, range(4)))) == 1
    kinds = Counter(run.data.tags["kind"] for run in Tracker(tmp_path).all_runs())
    del kinds[claims.KIND]
    assert kinds == {"ablation": 1, "arm": 1}


def test_planning_asks_for_all_runs_at_once(tmp_path, monkeypatch):
    def finish(number):
        tags = {"kind": "run"}
        with Tracker(tmp_path).recording(f"run {number}", f"hash{number}", tags) as record:
            (tmp_path / "predictions.csv").write_text("split\n")
            record.log_file(tmp_path / "predictions.csv")

    for number in range(3):
        finish(number)
    tracker = Tracker(tmp_path)
    searches = []
    search = tracker._search
    monkeypatch.setattr(tracker, "_search", lambda c: searches.append(c) or search(c))
    wanted = {"hash0", "hash2", "hash7"}
    assert tracker.finished_among(wanted) == {"hash0", "hash2"}
    assert len(searches) == 1
    assert {one for one in wanted if tracker.finished(one)} == {"hash0", "hash2"}
