"""The client of Dunya against a server that fails in every way that a server can.

The server is ``DunyaServer`` of ``conftest.py``, which says what of its behaviour is verified and what is not known.
"""

from __future__ import annotations

import gzip
import shutil
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.dunya.answers import PROFILE, DunyaUnavailableError, TokenRefusedError
from cmbench.tasks.dunya.client import DunyaClient, Patience, checked_url
from cmbench.tasks.fetching.download import retry_after
from cmbench.tasks.fetching.unreachable import UnreachableError

Server = Any
Faults = Any
Details = Callable[..., dict[str, Any]]
MP3 = bytes(range(256)) * 700
ONE = "/api/makam/recording/a1"
FILE = "/document/by-id/a1/mp3"


@pytest.fixture
def waits() -> list[float]:
    """Every wait of the client, in seconds."""
    return []


@pytest.fixture
def client(dunya_server: Server, waits: list[float], makam: Details) -> Iterator[DunyaClient]:
    """A client without pauses between requests, whose waits take no time; the server knows five recordings."""
    for name in ("a1", "a2", "b1", "c1", "c2"):
        dunya_server.details["makam"][name] = makam(name, "Hicaz")
    dunya_server.mp3["a1"] = MP3
    patience = Patience(attempts=4, between=0.0, read=0.3)
    with DunyaClient(dunya_server.token, dunya_server.url, patience, waits.append) as made:
        yield made


def test_a_list_is_read_to_its_end_at_our_own_address(client: DunyaClient, dunya_server: Server) -> None:
    pages = list(client.recordings("makam"))
    assert [[entry["mbid"] for entry in page] for page in pages] == [["a1", "a2"], ["b1", "c1"], ["c2"]]
    assert pages[0][0]["makamlist"] == [{"uuid": "m1", "name": "Hicaz"}]
    assert dunya_server.paths() == [
        "/api/makam/recording?detail=1",
        "/api/makam/recording?detail=1&page=2",
        "/api/makam/recording?detail=1&page=3",
    ]
    assert {headers["Authorization"] for _, headers in dunya_server.asked} == {f"Token {dunya_server.token}"}


@pytest.mark.parametrize(("endless", "requests"), [("self", 2), ("growing", 4)])
def test_a_list_without_end_is_left(client: DunyaClient, dunya_server: Server, endless: str, requests: int) -> None:
    dunya_server.endless = endless
    with pytest.raises(DunyaUnavailableError, match="the list does not end"):
        list(client.recordings("makam"))
    assert len(dunya_server.asked) == requests


def test_a_list_that_always_brings_something_new_is_left_too(
    client: DunyaClient, dunya_server: Server, makam: Details, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmbench.tasks.dunya.client._MOST_PAGES", 2)
    with pytest.raises(DunyaUnavailableError, match="the list does not end"):
        list(client.recordings("makam"))
    assert len(dunya_server.asked) == 2


def test_an_answer_that_is_too_large_is_not_read(
    client: DunyaClient, dunya_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmbench.tasks.dunya.answers._LARGEST_ANSWER", 10)
    with pytest.raises(DunyaUnavailableError, match="more than 10 bytes"):
        client.recording("makam", "a1")


def test_a_next_page_without_an_address(client: DunyaClient, dunya_server: Server) -> None:
    dunya_server.next_host = "http://[dunya"
    with pytest.raises(DunyaUnavailableError, match="next page has no address"):
        list(client.recordings("makam"))


def test_a_redirect_to_what_is_no_address(client: DunyaClient, dunya_server: Server, fault: Faults) -> None:
    dunya_server.faults[ONE] = [fault(302, {"Location": "http://[dunya"})]
    with pytest.raises(DunyaUnavailableError, match="cannot be asked"):
        client.recording("makam", "a1")


def test_a_file_that_comes_packed_is_unpacked(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    packed = gzip.compress(MP3)
    headers = {"Content-Encoding": "gzip", "Content-Type": "audio/mpeg", "ETag": '"v1"'}
    dunya_server.faults[FILE] = [fault(200, headers, len(packed) // 2, packed), fault(200, headers, body=packed)]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3
    assert [path.name for path in tmp_path.iterdir()] == ["a1.mp3"]
    assert all("Range" not in headers for _, headers in dunya_server.asked)


@pytest.mark.parametrize("body", [b" <!DOCTYPE html>", b'{"detail": "no"}'])
def test_a_page_that_does_not_say_so_is_no_mp3(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path, body: bytes
) -> None:
    dunya_server.faults[FILE] = [fault(200, {"Content-Type": "application/octet-stream"}, body=body)]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


def test_a_part_that_was_not_asked_for_is_continued(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    headers = {"Content-Range": f"bytes 0-99/{len(MP3)}", "Content-Type": "audio/mpeg", "ETag": '"v1"'}
    dunya_server.faults[FILE] = [fault(206, headers, body=MP3[:100])]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


def test_a_file_without_end_does_not_fill_the_disk(
    client: DunyaClient, dunya_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(UsageError, match="Make room"):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")


def test_one_recording_and_one_that_is_not_there(client: DunyaClient, makam: Details) -> None:
    assert client.recording("makam", "a1") == makam("a1", "Hicaz")
    assert client.recording("makam", "unknown") is None
    assert client.recording("makam", "../../admin?x=1") is None


def test_another_server_is_not_taken_for_dunya(client: DunyaClient, dunya_server: Server, fault: Faults) -> None:
    dunya_server.faults["/api/makam/recording"] = [fault(404)]
    with pytest.raises(DunyaUnavailableError, match=r"/api/makam/recording is not there \(404\)"):
        list(client.recordings("makam"))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("path", "said"), [(ONE, "Check the token"), (FILE, "Ask Dunya for access to this collection's audio")]
)
def test_a_refused_token_is_said_at_once(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path, status: int, path: str, said: str
) -> None:
    dunya_server.faults[path] = [fault(status)]
    with pytest.raises(TokenRefusedError) as caught:
        client.recording("makam", "a1") if path == ONE else client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert said in str(caught.value)
    assert PROFILE in str(caught.value)
    assert f"HTTP {status}" in str(caught.value)
    assert len(dunya_server.asked) == 1


def test_a_wrong_token_is_refused_and_never_shown(dunya_server: Server) -> None:
    with DunyaClient("s0me-0ther", dunya_server.url) as client, pytest.raises(TokenRefusedError) as caught:
        list(client.recordings("makam"))
    shown = "".join(traceback.format_exception(caught.value)) + repr(client) + repr(vars(client))
    assert "s0me-0ther" not in shown


def test_a_busy_server_is_given_the_time_it_asks_for(
    client: DunyaClient, dunya_server: Server, fault: Faults, waits: list[float], makam: Details
) -> None:
    dunya_server.faults[ONE] = [fault(429, {"Retry-After": "37"}), fault(500), fault(503, {"Retry-After": "0"})]
    assert client.recording("makam", "a1") == makam("a1", "Hicaz")
    assert waits == [37.0, 4.0, 8.0]


def test_waits_grow_to_a_limit_and_then_the_reason_is_said(
    dunya_server: Server, fault: Faults, waits: list[float]
) -> None:
    dunya_server.faults[ONE] = [fault(502)] * 7
    client = DunyaClient(dunya_server.token, dunya_server.url, Patience(attempts=7, between=0.0), waits.append)
    with client, pytest.raises(DunyaUnavailableError, match=r"/api/makam/recording/a1: HTTP 502 \(7 attempts\)"):
        client.recording("makam", "a1")
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_a_server_that_asks_for_too_long_is_left(
    client: DunyaClient, dunya_server: Server, fault: Faults, waits: list[float]
) -> None:
    dunya_server.faults[ONE] = [fault(429, {"Retry-After": "86400"})]
    with pytest.raises(DunyaUnavailableError, match="asks to come back in 86400 s"):
        client.recording("makam", "a1")
    assert waits == []


def test_what_retry_after_may_say() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after("5") == 5.0
    assert retry_after("9" * 400) == retry_after("Fri, 31 Dec 9999 23:59:59 -2359") == 31_536_000.0
    assert retry_after("²") is None
    assert 90 < (retry_after(soon) or 0) <= 100
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 -0000") == 0.0
    assert [retry_after(value) for value in (None, "", "soon", "-3", "1.5")] == [None] * 5


@pytest.mark.parametrize(
    "body", [b"<html>busy</html>", b"[]", b'{"results": {}}', b'{"results": [1]}', b"\xff", b"", b"[" * 100_000]
)
def test_an_answer_that_is_no_list_is_asked_for_again(
    client: DunyaClient, dunya_server: Server, fault: Faults, body: bytes
) -> None:
    dunya_server.faults["/api/makam/recording"] = [fault(body=body)]
    assert sum(len(page) for page in client.recordings("makam")) == 5


def test_answers_that_stay_wrong_end_in_an_error(client: DunyaClient, dunya_server: Server, fault: Faults) -> None:
    dunya_server.faults[ONE] = [fault(body=b"{")] * 4
    with pytest.raises(DunyaUnavailableError, match=r"an answer that is not JSON \(4 attempts\)"):
        client.recording("makam", "a1")
    dunya_server.faults["/api/makam/recording"] = [fault(body=b'{"results": [], "next": 7}')] * 4
    with pytest.raises(DunyaUnavailableError, match="whose next page has no address"):
        list(client.recordings("makam"))


def test_cut_and_slow_answers_are_asked_for_again(
    client: DunyaClient, dunya_server: Server, fault: Faults, waits: list[float], makam: Details
) -> None:
    dunya_server.faults[ONE] = [fault(cut=10), fault(delay=0.6), fault(cut=0)]
    assert client.recording("makam", "a1") == makam("a1", "Hicaz")
    assert waits == [2.0, 4.0, 8.0]


def test_a_server_that_stays_silent_or_is_not_there(dunya_server: Server, fault: Faults, waits: list[float]) -> None:
    dunya_server.faults[ONE] = [fault(delay=0.4)] * 2
    patience = Patience(attempts=2, between=0.0, read=0.1)
    client = DunyaClient(dunya_server.token, dunya_server.url, patience, waits.append)
    with client, pytest.raises(DunyaUnavailableError, match=r"no answer for 0\.1 s \(2 attempts\)"):
        client.recording("makam", "a1")
    client = DunyaClient("t", "http://127.0.0.1:9", patience, waits.append)
    waits.clear()
    with client, pytest.raises(UnreachableError, match=r"cannot be reached: no connection .* HTTPS_PROXY"):
        client.recording("makam", "a1")
    assert waits == []
    client._reached = True
    with client, pytest.raises(DunyaUnavailableError, match="the connection failed or was cut"):
        client.recording("makam", "a1")


def test_an_unknown_status_is_not_asked_for_again(client: DunyaClient, dunya_server: Server, fault: Faults) -> None:
    dunya_server.faults[ONE] = [fault(410)]
    with pytest.raises(DunyaUnavailableError, match="with HTTP 410"):
        client.recording("makam", "a1")
    assert len(dunya_server.asked) == 1


@pytest.mark.parametrize("cuts", [(1,), (65536,), (100_000, 10, 0), (len(MP3) - 1,)])
def test_a_cut_file_is_continued_where_it_was_cut(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path, cuts: tuple[int, ...]
) -> None:
    dunya_server.faults[FILE] = [fault(cut=cut) for cut in cuts]
    assert client.fetch_mp3("a1", tmp_path / "audio" / "a1.mp3")
    assert (tmp_path / "audio" / "a1.mp3").read_bytes() == MP3
    assert [path.name for path in (tmp_path / "audio").iterdir()] == ["a1.mp3"]
    ranges = [headers.get("Range") for _, headers in dunya_server.asked]
    assert ranges == [None, *(f"bytes={sum(cuts[: i + 1])}-" for i in range(len(cuts)))]


def test_a_later_start_continues_a_file(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    dunya_server.faults[FILE] = [fault(cut=1000), *[fault(500)] * 3]
    with pytest.raises(DunyaUnavailableError, match="HTTP 500"):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a1.mp3.part", "a1.mp3.part.json"]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3
    assert dunya_server.asked[-1][1]["Range"] == "bytes=1000-"
    assert dunya_server.asked[-1][1]["If-Range"] == '"v1"'


def test_two_versions_of_a_file_are_never_joined(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    dunya_server.faults[FILE] = [fault(cut=1000), *[fault(500)] * 3]
    with pytest.raises(DunyaUnavailableError):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    dunya_server.mp3["a1"], dunya_server.etag = MP3[::-1], '"v2"'
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3[::-1]


@pytest.mark.parametrize(("ranges", "etag"), [(False, '"v1"'), (True, None), (False, None)])
def test_servers_that_cannot_continue_or_tell_versions(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path, ranges: bool, etag: str | None
) -> None:
    dunya_server.ranges, dunya_server.etag = ranges, etag
    dunya_server.faults[FILE] = [fault(cut=1000)]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


@pytest.mark.parametrize("version", [b"", b"\xff\n", b'{"url": "elsewhere", "version": "v1"}', b"[1]"])
def test_a_spoilt_note_of_the_version_costs_a_new_start_at_most(
    client: DunyaClient, tmp_path: Path, version: bytes
) -> None:
    (tmp_path / "a1.mp3.part").write_bytes(MP3[:1000])
    (tmp_path / "a1.mp3.part.json").write_bytes(version)
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


@pytest.mark.parametrize("left", [MP3, MP3 + b"more"])
def test_a_part_that_is_whole_or_too_long(client: DunyaClient, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "a1.mp3.part").write_bytes(left)
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


def test_a_page_of_text_is_no_mp3(client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path) -> None:
    login = fault(body=b"<html>log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    dunya_server.faults[FILE] = [login] * 4
    with pytest.raises(DunyaUnavailableError, match="text/html in place of an mp3"):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    dunya_server.mp3["a1"] = b""
    with pytest.raises(DunyaUnavailableError, match="the answer is empty"):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert not (tmp_path / "a1.mp3").exists()


def test_another_part_than_asked_for_is_not_joined(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    wrong = fault(206, {"Content-Range": f"bytes 5-{len(MP3) - 1}/{len(MP3)}"}, body=MP3[5:])
    dunya_server.faults[FILE] = [fault(cut=1000), wrong]
    assert client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert (tmp_path / "a1.mp3").read_bytes() == MP3


def test_a_recording_without_mp3(client: DunyaClient, tmp_path: Path) -> None:
    assert not client.fetch_mp3("a2", tmp_path / "audio" / "a2.mp3")
    assert list((tmp_path / "audio").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(client: DunyaClient, tmp_path: Path) -> None:
    (tmp_path / "audio").write_bytes(b"a file")
    with pytest.raises(CmbenchError, match=r"a1\.mp3 cannot be written"):
        client.fetch_mp3("a1", tmp_path / "audio" / "a1.mp3")


def test_requests_keep_their_distance(dunya_server: Server) -> None:
    now = [100.0]
    slept: list[float] = []

    def wait(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    patience = Patience(between=0.5)
    with DunyaClient(dunya_server.token, dunya_server.url, patience, wait, lambda: now[0]) as client:
        for passed in (0.0, 0.2, 0.7, 0.0):
            now[0] += passed
            client.recording("makam", "x")
    assert slept == pytest.approx([0.3, 0.5])


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "tökén", "a\r\nX-Other: b"])
def test_what_cannot_be_a_token_is_not_sent_or_shown(token: str) -> None:
    with pytest.raises(UsageError, match=f"Dunya token .*{PROFILE}.*CMBENCH_DUNYA_TOKEN") as caught:
        DunyaClient(token)
    assert not token.strip() or token not in str(caught.value)


def test_blanks_around_a_token_are_dropped(client: DunyaClient, dunya_server: Server) -> None:
    with DunyaClient(f" {dunya_server.token}\n", dunya_server.url) as other:
        assert other.recording("makam", "a1") is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://dunya.example",
        "ftp://localhost",
        "dunya",
        "",
        "https://user:pw@dunya.example",
        "https://:pw@dunya.example",
        "https://x/?a=1",
        "https://[dunya",
    ],
)
def test_addresses_that_would_give_the_token_away_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="CMBENCH_DUNYA_URL"):
        DunyaClient("t", url)


def test_addresses_that_are_fine() -> None:
    assert checked_url("https://mirror.example/dunya/ ") == "https://mirror.example/dunya"
    assert checked_url("http://localhost:8000") == "http://localhost:8000"


def test_the_token_does_not_follow_a_redirect_to_another_server(
    client: DunyaClient, dunya_server: Server, fault: Faults
) -> None:
    with type(dunya_server)() as other:
        location = f"http://localhost:{other.server_port}{ONE}"
        dunya_server.faults[ONE] = [fault(302, {"Location": location})] * 4
        from threading import Thread

        thread = Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with pytest.raises(TokenRefusedError):
            client.recording("makam", "a1")
        other.shutdown()
        thread.join()
        assert len(other.asked) == 1
        assert "Authorization" not in other.asked[0][1]


def test_a_password_file_does_not_replace_the_token(
    client: DunyaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert client.recording("makam", "a1") is not None


def test_what_a_server_echoes_of_the_token_is_nowhere(
    client: DunyaClient, dunya_server: Server, fault: Faults, tmp_path: Path
) -> None:
    token = dunya_server.token
    body = f'{{"mbid": "a1", "title": "you sent {token}", "{token}": ["{token}"]}}'.encode()
    dunya_server.faults[ONE] = [fault(200, {"Content-Type": "application/json"}, body=body)]
    assert client.recording("makam", "a1") == {"mbid": "a1", "title": "you sent [token]", "[token]": ["[token]"]}
    dunya_server.faults[FILE] = [fault(200, {"Content-Type": f"text/{token}"}, body=MP3)] * 4
    with pytest.raises(DunyaUnavailableError) as caught:
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    assert "text/[token] in place of an mp3" in str(caught.value)
    dunya_server.faults[FILE] = [fault(200, {"Content-Type": "audio/mpeg", "ETag": f'"{token}"'}, cut=99, body=MP3)] * 4
    with pytest.raises(DunyaUnavailableError):
        client.fetch_mp3("a1", tmp_path / "a1.mp3")
    kept = [path for path in tmp_path.iterdir() if token.encode() in path.read_bytes()]
    assert kept == []


def test_a_next_page_with_the_token_in_its_address_is_not_asked_for(client: DunyaClient, dunya_server: Server) -> None:
    dunya_server.next_host = f"http://dunya.invalid/{dunya_server.token}"
    with pytest.raises(DunyaUnavailableError, match="next page has the token") as caught:
        list(client.recordings("makam"))
    said = "".join(traceback.format_exception(caught.value))
    assert dunya_server.token not in said
    assert all(path == "/api/makam/recording?detail=1" for path in dunya_server.paths())


def test_a_list_goes_on_where_it_was_broken_off(client: DunyaClient, dunya_server: Server) -> None:
    reached: list[str | None] = []
    pages = client.recordings("makam", reached=reached.append)
    next(pages)
    assert reached == []
    next(pages)
    assert reached == ["detail=1&page=2"]
    rest = list(client.recordings("makam", reached[0], reached.append))
    assert [[entry["mbid"] for entry in page] for page in rest] == [["b1", "c1"], ["c2"]]
    assert reached[-1] is None
