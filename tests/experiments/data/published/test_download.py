"""Downloads: what is asked of the server, what is asked again, and what is left on the disk."""

from __future__ import annotations

import hashlib
import socket

import pytest

from experiments.data.published import download as module
from experiments.data.published.download import TRIES, NoDownloadError, download

CONTENT = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(10_000))
SIZE = len(CONTENT)
HALF = SIZE // 2


@pytest.fixture
def slept():
    """The waits of a download, none of which was waited."""
    return []


@pytest.fixture
def file(tmp_path):
    return tmp_path / "archive.tar.gz"


@pytest.fixture
def get(web, file, slept):
    """Download the one file there is; returns what came."""

    def get(most=SIZE):
        download(web.url("file", CONTENT), file, most, slept.append)
        return file.read_bytes()

    return get


def names(file):
    return sorted(path.name for path in file.parent.iterdir())


def test_a_file_comes_whole_and_leaves_nothing_beside_it(web, get, file, slept):
    assert get() == CONTENT
    assert names(file) == [file.name]
    assert web.ranges_asked() == [None]
    assert slept == []


def test_a_cut_connection_goes_on_where_it_broke(web, get, file, slept):
    web.script = [web.cut(HALF), web.cut(HALF // 2)]
    assert get() == CONTENT
    assert web.ranges_asked() == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
    assert [headers.get("If-Range") for _, headers in web.requests] == [None, '"one"', '"one"']
    assert sum(web.sent) == SIZE  # no byte came twice
    assert slept == [1, 1]  # each try got further, so none had to wait longer
    assert names(file) == [file.name]


def test_a_cut_in_chunks_is_noticed_and_resumed_too(web, get):
    web.sized = False
    web.script = [web.cut(HALF)]
    assert get() == CONTENT
    assert web.ranges_asked() == [None, f"bytes={HALF}-"]
    assert sum(web.sent) == SIZE


def test_a_server_that_sends_a_range_in_pieces_is_asked_for_the_next(web, get):
    web.span = SIZE // 5
    web.script = [web.cut(HALF)]
    assert get() == CONTENT
    assert web.sent == [HALF, SIZE // 5, SIZE // 5, SIZE - HALF - 2 * (SIZE // 5)]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_version_it_resumes_and_asks_no_condition(web, get, etag):
    web.etag = etag
    web.script = [web.cut(HALF)]
    assert get() == CONTENT
    assert web.ranges_asked()[1] == f"bytes={HALF}-"
    assert "If-Range" not in web.requests[1][1]


def test_a_server_that_knows_no_ranges_sends_all_again(web, get):
    web.ranges = False
    web.script = [web.cut(HALF)]
    assert get() == CONTENT
    assert web.sent == [HALF, SIZE]


@pytest.mark.parametrize("etags", [('"one"', '"two"'), ('W/"one"', 'W/"two"')])
def test_a_file_that_changed_in_between_comes_anew(web, file, slept, etags):
    first, second = etags

    def change():
        web.etag = second
        web.files["file"] = CONTENT[::-1]

    web.etag = first
    web.script = [lambda handler: handler.serve(HALF, change)]
    download(web.url("file", CONTENT), file, SIZE, slept.append)
    assert file.read_bytes() == CONTENT[::-1]


def test_a_second_call_resumes_what_the_first_left(web, get, file):
    web.script = [web.cut(HALF)] + [web.status(503)] * (TRIES - 1)
    with pytest.raises(NoDownloadError, match="503"):
        get()
    assert names(file) == [f"{file.name}.etag", f"{file.name}.part"]
    del web.requests[:], web.sent[:]
    assert get() == CONTENT
    assert web.ranges_asked() == [f"bytes={HALF}-"]
    assert web.sent == [SIZE - HALF]


def test_a_part_that_is_the_whole_file_is_known_as_such(web, get, file):
    # As after a kill between the last byte and the renaming.
    file.with_name(f"{file.name}.part").write_bytes(CONTENT)
    assert get() == CONTENT
    assert web.sent == [0]


@pytest.mark.parametrize("excess", [1, 1000])
def test_a_part_that_is_longer_than_the_file_comes_anew(get, file, excess):
    file.with_name(f"{file.name}.part").write_bytes(CONTENT + b"x" * excess)
    assert get() == CONTENT


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(web, get, slept, code):
    web.script = [web.status(code), web.status(code)]
    assert get() == CONTENT
    assert slept == [1, 2]


def test_the_server_says_how_long_to_wait(web, get, slept):
    web.script = [
        web.status(429, Retry_After="7"),
        web.status(503, Retry_After="86400"),
        web.status(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
    ]
    assert get() == CONTENT
    assert slept == [7, 60, 4]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_lasting_fault_is_not_tried_again(web, get, file, slept, code):
    web.script = [web.status(code)]
    with pytest.raises(NoDownloadError, match=f"^{code} "):
        get()
    assert len(web.requests) == 1
    assert (slept, names(file)) == ([], [])


def test_a_fault_that_stays_ends_it(web, get, slept):
    web.script = [web.status(503)] * 50
    with pytest.raises(NoDownloadError, match="503"):
        get()
    assert len(web.requests) == TRIES
    assert slept == [1, 2, 4, 8]


def test_a_connection_that_always_breaks_at_the_same_byte_ends_it(web, get):
    web.ranges = False
    web.script = [web.cut(HALF)] * 50
    with pytest.raises(NoDownloadError, match="the connection broke"):
        get()
    assert len(web.requests) == TRIES


@pytest.mark.usefixtures("web")
def test_no_server_at_all(file, slept):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/file"
        with pytest.raises(NoDownloadError, match=r"^no connection \(.*refused\)$"):
            download(url, file, SIZE, slept.append)
    assert slept == [1, 2, 4, 8]


def test_a_server_that_says_nothing(web, get, monkeypatch):
    monkeypatch.setattr(module, "_READ", 0.05)
    web.script = [lambda _: web.released.wait()] * 50
    with pytest.raises(NoDownloadError, match="no answer in time"):
        get()


@pytest.mark.parametrize("sized", [True, False])
def test_a_file_that_is_too_large_is_not_kept(web, get, file, slept, sized):
    web.sized = sized
    with pytest.raises(NoDownloadError, match=f"more than {SIZE - 1:,} bytes"):
        get(SIZE - 1)
    part = file.with_name(f"{file.name}.part")
    assert not file.exists()
    # Where the server tells the size, nothing is even begun.
    assert (part.stat().st_size if part.exists() else None) == (None if sized else 0)
    assert slept == []
    assert get(SIZE) == CONTENT  # and nothing of it is in the way


def test_a_log_gets_a_line_now_and_then(get, capsys, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_A_LINE", 0)
    get()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert lines[-1].startswith(f"{SIZE / 2**20:.1f} of {SIZE / 2**20:.1f} MiB, ")
