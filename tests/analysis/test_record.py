"""Whether what a run leaves behind is whole."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from analysis import record
from analysis.record import DIGESTS, address, digest, flaw

HEADS = {
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss\nval,1,5,5,0.9,0.1\n",
    "images.csv": "split,filename,group,clean,part,changed\nval,1.jpg,0,1,train,0\n",
    "readers.csv": "reader,filename,reading\nhuman1,1.jpg,5\n",
    "config.json": '{"loss": "ctc"}',
}


def weights(numbers: bytes) -> bytes:
    """A safetensors file with one vector of bytes, made by hand from the format's description."""
    about = {"a": {"dtype": "U8", "shape": [len(numbers)], "data_offsets": [0, len(numbers)]}}
    header = json.dumps(about).encode()
    return len(header).to_bytes(8, "little") + header + numbers


@pytest.fixture
def folder(tmp_path):
    for name, text in HEADS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "weights.safetensors").write_bytes(weights(b"1234"))
    return tmp_path


def tags_of(folder):
    digests = {file.name: digest(file) for file in folder.iterdir()}
    return {"kind": "run", DIGESTS: json.dumps(digests)}


FILES = [*HEADS, "weights.safetensors"]


def test_the_digest_of_a_file_by_another_hand(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "a") == f"3 {known}"


def test_a_whole_record_has_no_flaw(folder):
    assert flaw(folder, tags_of(folder)) is None
    assert flaw(folder, {"kind": "run"}) is None  # of a run from before there were digests


@pytest.mark.parametrize("name", FILES)
def test_a_bit_more_or_less_in_any_file_is_seen(folder, name):
    tags, content = tags_of(folder), (folder / name).read_bytes()
    for at in range(0, len(content), 5):
        changed = bytearray(content)
        changed[at] ^= 1
        (folder / name).write_bytes(changed)
        assert flaw(folder, tags) == f"{name} is damaged"
    for other in (content[:-1], content + b"\n", b""):
        (folder / name).write_bytes(other)
        assert flaw(folder, tags) == f"{name} is damaged"
        # The length alone says so much.
        assert flaw(folder, tags, weights=False) == f"{name} is damaged"
    (folder / name).unlink()
    assert flaw(folder, tags) == f"{name} is missing"
    (folder / name).mkdir()
    assert flaw(folder, tags) == f"{name} is missing"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[1, 2]"),
        ("config.json", b'{"a": '),
        ("config.json", b"\xff\xfe"),
        ("config.json", b'{"a":' * 100_000),
        ("predictions.csv", b""),
        ("predictions.csv", b"split,filename,truth,confidence\n"),
        ("images.csv", b"\0\0\0"),
        ("weights.safetensors", weights(b"1234")[:-1]),
        ("weights.safetensors", weights(b"1234")[:20]),
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\xff" * 64),
    ],
)
def test_what_cannot_be_read_is_seen_in_a_run_without_digests(folder, name, content):
    (folder / name).write_bytes(content)
    assert flaw(folder, {"kind": "run"}) == f"{name} is damaged"
    (folder / name).unlink()
    assert flaw(folder, {"kind": "run"}) == f"{name} is missing"


def test_a_run_without_people_to_compare_with_is_whole(folder):
    (folder / "readers.csv").unlink()
    assert flaw(folder, tags_of(folder)) is None
    assert flaw(folder, {"kind": "run"}) is None


def test_a_run_that_was_made_again_does_not_count(folder):
    assert flaw(folder, tags_of(folder) | {record.REPLACED: "abc"}) == "was made again as abc"


def test_digests_that_are_none(folder):
    assert flaw(folder, {"kind": "run", DIGESTS: "{"}) == "its tag digests cannot be read"


@pytest.mark.parametrize(
    "name", ["plain", "why?1", "a%20b", "a#b", "it's", 'say "x"', "$HOME", "é ß"]
)
@pytest.mark.parametrize("reading", [False, True])
def test_the_address_leads_to_the_file_whatever_its_folder_is_called(tmp_path, name, reading):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    out = tmp_path / name
    out.mkdir()
    with sqlite3.connect(out / "mlflow.db") as database:
        database.execute("create table here (a)")
    engine = sqlalchemy.create_engine(address(out, reading=reading))
    with engine.connect() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == ["here"]
    engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
@pytest.mark.parametrize("writing", [False, True])
def test_a_store_of_somebody_elses_is_read_without_writing(tmp_path, monkeypatch, writing):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    out = tmp_path / "out"
    out.mkdir()
    file = out / "mlflow.db"
    writer = sqlite3.connect(file)
    writer.execute("pragma journal_mode=wal")
    writer.execute("create table here (a)")
    writer.execute("insert into here values (7)")
    writer.commit()
    if not writing:
        writer.close()
    before = sorted(path.name for path in out.iterdir())
    assert (len(before) > 1) == writing
    monkeypatch.setattr(record.os, "access", lambda *_: False)  # root may write everywhere
    engine = sqlalchemy.create_engine(address(out, reading=True))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select a from here").fetchall() == [(7,)]
        with pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
            connection.exec_driver_sql("insert into here values (8)")
    engine.dispose()
    assert sorted(path.name for path in out.iterdir()) == before
    writer.close()


def test_names_stand_in_one_place():
    root = Path(__file__).parents[2]
    names = [*FILES, "members.json", "search.json"]
    for package in ("experiments", "analysis"):
        for file in (root / package).rglob("*.py"):
            if file.name != "record.py":
                text = file.read_text(encoding="utf-8")
                assert not [name for name in names if f'"{name}"' in text], file


def test_a_copy_is_as_whole_as_what_it_was_copied_from(folder, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copies") / "copy"
    shutil.copytree(folder, copy)
    assert flaw(copy, tags_of(folder)) is None
