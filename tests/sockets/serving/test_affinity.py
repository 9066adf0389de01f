"""Two workers of one machine, each asked for the sessions of the other."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from sockets.serving.affinity import Siblings, meeting_place
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import TEXT, RawClient, RawWebSocket, Wire, ask, read_response

POLL = "/socket.io/?EIO=4&transport=polling"
Pair = tuple[Served, Served]


@pytest.fixture
def pair(serve: Callable[..., Served], tmp_path: Path) -> Pair:
    """The first holds the sessions, the second is asked."""
    return serve(siblings=Siblings(tmp_path, "f:0")), serve(siblings=Siblings(tmp_path, "f:1"))


def opened(served: Served, **headers: str) -> str:
    """The id of a new polling session."""
    answer = requests.get(served.url + POLL, headers=headers, timeout=10)
    assert answer.status_code == 200
    return str(json.loads(answer.text[1:])["sid"])


def joined(served: Served) -> str:
    sid = opened(served)
    assert requests.post(f"{served.url}{POLL}&sid={sid}", b"40/echo,", timeout=10).text == "ok"
    assert requests.get(f"{served.url}{POLL}&sid={sid}", timeout=10).text.startswith("40/echo,")
    return sid


def request(sid: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{'POST' if body else 'GET'} {POLL}&sid={sid} HTTP/1.1", "Host: x", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_an_id_names_its_worker_and_keeps_a_secret_of_256_bits(pair: Pair) -> None:
    here, there = (opened(one).partition(".") for one in pair)
    assert here[0] != there[0]
    assert len(here[2]) == len(there[2]) == 43


def test_a_stray_poll_and_post_reach_their_session(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    assert requests.post(f"{other.url}{POLL}&sid={sid}", b'42/echo,1["echo","x"]', timeout=10).text == "ok"
    assert requests.get(f"{other.url}{POLL}&sid={sid}", timeout=10).text == '43/echo,1["x"]'
    wait_until(lambda: other.worker.connections == 0)
    assert not other.engine.sockets


def test_a_connection_stays_where_it_was_brought(pair: Pair) -> None:
    """Requests on it that follow, and those sent along in the same packet, are answered there in order."""
    home, other = pair
    sid = joined(home)
    wire = Wire(other.address)
    wire.send(request(sid, b'42/echo,1["echo",1]') + request(sid) + request(sid, b'42/echo,2["echo",2]'))
    assert [read_response(wire).body for _ in range(3)] == [b"ok", b"43/echo,1[1]", b"ok"]
    assert other.worker.connections == 0
    assert home.worker.connections == 1
    assert ask(wire, request(sid)).body == b"43/echo,2[2]"
    back = joined(other)
    assert ask(wire, request(back, b'42/echo,3["echo",3]')).body == b"ok"
    assert (home.worker.connections, other.worker.connections) == (0, 1)
    assert ask(wire, request(back)).body == b"43/echo,3[3]"
    wire.close()


def test_a_body_that_comes_in_parts_is_taken_whole(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    whole = request(sid, b'42/echo,1["echo","' + b"x" * 50_000 + b'"]')
    first, rest = whole[:20_000], whole[20_000:]
    wire = Wire(other.address)
    wire.send(first)
    wait_until(lambda: home.worker.connections == 1 and other.worker.connections == 0)
    wire.send(rest)
    assert read_response(wire).body == b"ok"
    assert len(ask(wire, request(sid)).body) > 50_000


def test_who_waits_for_a_go_ahead_gets_it_from_the_session(pair: Pair) -> None:
    home, other = pair
    body = b'42/echo,1["echo","x"]'
    head = request(joined(home), body, "Expect: 100-continue").removesuffix(body)
    wire = Wire(other.address)
    assert ask(wire, head).status == 100
    assert ask(wire, body).body == b"ok"


def test_a_polling_session_goes_over_to_a_websocket_that_came_elsewhere(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    websocket = RawWebSocket(other.address, query=f"EIO=4&transport=websocket&sid={sid}")
    websocket.send_text("2probe")
    assert websocket.read_text() == "3probe"
    websocket.send_text("5")
    websocket.send_frame(TEXT, b'42/echo,1["echo","over"]')
    assert websocket.read_text() == '43/echo,1["over"]'
    assert home.session().upgraded
    assert other.worker.connections == 0


def test_a_websocket_from_the_start_stays_where_it_was_accepted(pair: Pair) -> None:
    client = RawClient(pair[1].address, join="/echo")
    assert client.call("/echo", "echo", 1) == [1]
    assert not pair[0].engine.sockets


@pytest.mark.parametrize(
    ("opening", "following"),
    [({"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}), ({"Cookie": "session=a"}, {})],
)
def test_another_credential_is_refused_at_the_wrong_worker_too(
    pair: Pair, opening: dict[str, str], following: dict[str, str]
) -> None:
    home, other = pair
    sid = opened(home, **opening)
    url = f"{other.url}{POLL}&sid={sid}"
    assert requests.get(url, headers=following, timeout=10).status_code == 403
    assert requests.post(url, b"40/echo,", headers=following, timeout=10).status_code == 403
    assert requests.post(url, b"40/echo,", headers=opening, timeout=10).text == "ok"


def test_a_session_whose_worker_is_gone_is_unknown(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    home.worker.stop(grace_s=0.1)
    answer = requests.get(f"{other.url}{POLL}&sid={sid}", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


@pytest.mark.parametrize("sid", ["x", "{name}.", "{name}.guess", "{other}7.x", "{other}/../0.x", "{other}٣.x", "-0.x"])
def test_an_id_that_nobody_gave_is_unknown(pair: Pair, sid: str) -> None:
    name = opened(pair[0]).partition(".")[0]
    answer = requests.get(
        pair[1].url + POLL, params={"sid": sid.format(name=name, other=name.removesuffix("0"))}, timeout=10
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


def test_a_worker_that_takes_nothing_holds_nobody_up(pair: Pair, tmp_path: Path) -> None:
    """Its queue is full: who asks for its session is told within the limit, and everybody else at once."""
    other = pair[1]
    name = opened(pair[0]).partition(".")[0].removesuffix("0") + "2"
    path = meeting_place(tmp_path) / "2.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            wire = Wire(other.address)
            wire.send(request(f"{name}.x"))
            assert requests.get(f"{other.url}/hello", timeout=10).text == "hello"
            assert read_response(wire).status == 400


@pytest.mark.parametrize("sent", [b"", b"P", b"Pno descriptor", b"?", b"P" + b"x" * 300_000])
def test_nonsense_on_the_socket_between_workers_is_dropped(pair: Pair, tmp_path: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(meeting_place(tmp_path) / "0.sock"))
        try:
            stranger.sendall(sent)
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(1) == b""
        except ConnectionError:
            pass
    sid = joined(pair[0])
    assert requests.post(f"{pair[1].url}{POLL}&sid={sid}", b"41/echo,", timeout=10).text == "ok"


def test_the_folder_is_its_owners_alone_and_its_name_short_enough(tmp_path: Path) -> None:
    for data_dir in (tmp_path, tmp_path / ("long" * 30)):
        folder = meeting_place(data_dir)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder / "999.sock")) < 104
        assert folder == meeting_place(data_dir)


def test_every_worker_reports_to_the_one_that_is_asked(pair: Pair, tmp_path: Path) -> None:
    first, second = (served.worker._siblings for served in pair)
    assert first is not None and second is not None
    first.report, second.report = lambda: b"first", lambda: b"second" * 50_000
    assert second.reports() == {first.name: b"first"}
    assert first.reports() == {second.name: b"second" * 50_000}
