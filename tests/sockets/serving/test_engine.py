"""Engine.IO over polling, and the way from there to a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gevent
import pytest
import requests

from sockets.serving.frame import Frame
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import TEXT, RawClient, RawWebSocket, Wire, ask, handshake


class Polling:
    """A polling client made of plain requests."""

    def __init__(self, served: Served, *, join: bool = True, **options: Any) -> None:
        self._url = f"{served.url}/socket.io/?EIO=4&transport=polling"
        self._options = options
        opening = requests.get(self._url, timeout=10, **options)
        assert opening.status_code == 200, opening.text
        self.opening = json.loads(opening.text[1:])
        self.sid = self.opening["sid"]
        if join:
            assert self.post("40/echo,").text == "ok"
            assert self.get().text.startswith("40/echo,")

    def get(self, **options: Any) -> requests.Response:
        return requests.get(f"{self._url}&sid={self.sid}", timeout=10, **{**self._options, **options})

    def post(self, body: str | bytes, **options: Any) -> requests.Response:
        data = body.encode() if isinstance(body, str) else body
        return requests.post(f"{self._url}&sid={self.sid}", data, timeout=10, **{**self._options, **options})


def test_a_session_opens_says_what_it_can_and_takes_many_packets_at_once(served: Served) -> None:
    client = Polling(served)
    assert {**client.opening, "sid": ""} == {
        "sid": "",
        "upgrades": ["websocket"],
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 1_000_000,
    }
    assert len(client.sid) == 43
    assert client.post("\x1e".join(f'42/echo,{n}["echo",{n}]' for n in range(1, 41))).status_code == 200
    polls = [client.get().text.split("\x1e") for _ in range(3)]
    assert [answer for poll in polls for answer in poll] == [f"43/echo,{n}[{n}]" for n in range(1, 41)]
    assert max(len(poll) for poll in polls) <= 16, "python-engineio's client takes no more"


def test_binary_goes_both_ways(served: Served) -> None:
    client = Polling(served)
    assert client.post('451-/echo,7["echo",{"_placeholder":true,"num":0}]\x1ebAAEC').status_code == 200
    assert client.get().text == '461-/echo,7[{"_placeholder":true,"num":0}]\x1ebAAEC'


@pytest.mark.parametrize(
    "body", ["abc", "9x", "", "4abc", "47", "2probe", "b!!!", b"\xff", "42/echo,{}", "bAAEC", "3\x1e\x1e3"]
)
def test_a_malformed_packet_is_400_and_the_session_closed(served: Served, body: str | bytes) -> None:
    client = Polling(served)
    assert served.next()[0] == "connect"
    refused = client.post(body)
    assert (refused.status_code, refused.json()["code"]) == (400, 3)
    assert served.next()[0] == "disconnect"
    assert client.get().status_code == 400


def test_more_packets_than_the_stated_limit_are_400_never_a_silent_200(served: Served) -> None:
    client = Polling(served)
    assert client.post("\x1e".join(["3"] * 1_025)).status_code == 400
    assert client.get().json() == {"code": 1, "message": "Session ID unknown"}


def test_a_payload_beyond_the_limit_is_413(served: Served) -> None:
    stranger = Polling(served, join=False)
    assert stranger.post("4" + "x" * 70_000).status_code == 413
    client = Polling(served)
    assert client.post('42/echo,["echo","' + "x" * 900_000 + '"]').status_code == 200
    assert client.post("4" + "x" * 1_000_001).status_code == 413
    assert client.get().status_code == 400


def test_two_polls_at_once_close_the_session(served: Served) -> None:
    client = Polling(served)
    first = gevent.spawn(client.get)
    wait_until(lambda: served.session().polled)
    assert client.get().status_code == 400
    assert first.get().text == "1"
    assert not served.engine.sockets


def test_a_waiting_poll_ends_with_the_session(served: Served) -> None:
    client = Polling(served)
    poll = gevent.spawn(client.get)
    wait_until(lambda: served.session().polled)
    assert client.post("1").status_code == 200
    assert poll.get().text == "1"
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "client disconnect")]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("EIO=4", 0),
        ("EIO=4&transport=flashsocket", 0),
        ("EIO=3&transport=polling", 5),
        ("transport=polling", 5),
        ("EIO=4&transport=polling&j=0", 3),
        ("EIO=4&transport=websocket", 3),
        ("EIO=4&transport=polling&sid=nobody", 1),
    ],
)
def test_handshakes_of_no_known_client_are_refused(served: Served, query: str, code: int) -> None:
    refused = requests.get(f"{served.url}/socket.io/?{query}", timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_other_methods_are_refused(served: Served) -> None:
    url = f"{served.url}/socket.io/?EIO=4&transport=polling"
    assert requests.put(url, timeout=10).status_code == 405
    assert requests.post(url, timeout=10).status_code == 400


def test_a_session_id_alone_reads_nobody_s_messages(served: Served) -> None:
    """Where the handshake brought a credential, every later request must bring the same."""
    client = Polling(served, headers={"Authorization": "Bearer mine", "Cookie": "other=1; session=mine"})
    for headers in (
        {"Authorization": "Bearer yours", "Cookie": "session=mine"},
        {"Authorization": "Bearer mine", "Cookie": "session=yours"},
        {"Authorization": None, "Cookie": None},
    ):
        assert client.get(headers=headers).status_code == 403
        assert client.post("3", headers=headers).status_code == 403
    path = f"/socket.io/?EIO=4&transport=websocket&sid={client.sid}"
    assert ask(Wire(served.address), handshake(path)).status == 403
    assert client.post("3", headers={"Authorization": "Bearer mine", "Cookie": "session=mine; other=2"}).text == "ok"


def test_foreign_origins_get_nothing_and_allowed_ones_their_headers(serve: Callable[..., Served]) -> None:
    served = serve(allowed_origins=("https://chat.example",))
    url = f"{served.url}/socket.io/?EIO=4&transport=polling"
    refused = requests.get(url, headers={"Origin": served.url}, timeout=10)
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers
    for response in (
        requests.get(url, headers={"Origin": "https://chat.example"}, timeout=10),
        requests.options(url, headers={"Origin": "https://chat.example"}, timeout=10),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert requests.get(url, timeout=10).status_code == 200, "apps send no Origin"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_session_that_joins_nothing_is_closed(serve: Callable[..., Served], transport: str) -> None:
    served = serve(join_s=0.1)
    if transport == "polling":
        client = Polling(served, join=False)
        assert client.get().text == "1"
    else:
        RawClient(served.address).wait_for_end()
    assert not served.engine.sockets
    assert not served.socketio.server.environ


def test_one_address_can_hold_only_so_many_sessions_that_joined_nothing(serve: Callable[..., Served]) -> None:
    served = serve(max_unjoined_per_address=3)
    strangers = [Polling(served, join=False) for _ in range(3)]
    with pytest.raises(AssertionError, match="429"):
        Polling(served, join=False)
    strangers[0].post("40/echo,")
    Polling(served, join=False).post("1")
    Polling(served, join=False)


class Upgrading:
    """A polling session with a WebSocket that wants to take over."""

    def __init__(self, served: Served) -> None:
        self.polling = Polling(served)
        self.websocket = RawWebSocket(served.address, query=f"EIO=4&transport=websocket&sid={self.polling.sid}")

    def probe(self) -> None:
        self.websocket.send_text("2probe")
        assert self.websocket.read_text() == "3probe"


def test_an_upgrade_loses_nothing_and_keeps_the_order(served: Served) -> None:
    client = Upgrading(served)
    session = served.session()
    poll = gevent.spawn(client.polling.get)
    wait_until(lambda: session.polled)
    client.probe()
    assert poll.get().text == "6"
    for number in range(5):
        assert session.offer(Frame(b"4held %d" % number))
    assert session.offer(Frame(b"\x00\x01", binary=True))
    client.websocket.send_text("5")
    assert [client.websocket.read_text() for _ in range(5)] == [f"4held {number}" for number in range(5)]
    assert client.websocket.read_frame().payload == b"\x00\x01"
    assert session.offer(Frame(b"4then"))
    assert client.websocket.read_text() == "4then"
    client.websocket.send_text('42/echo,1["echo","up"]')
    assert client.websocket.read_text() == '43/echo,1["up"]'
    assert client.polling.get().status_code == 400


def test_a_poll_that_arrives_after_the_probe_does_not_hold_the_upgrade_up(served: Served) -> None:
    client = Upgrading(served)
    client.probe()
    assert client.polling.get().text == "6"
    client.websocket.send_text("5")
    client.websocket.send_text('42/echo,1["echo","up"]')
    assert client.websocket.read_text() == '43/echo,1["up"]'


def test_polling_goes_on_while_an_upgrade_is_silent(serve: Callable[..., Served]) -> None:
    served = serve(upgrade_s=0.2)
    client = Upgrading(served)
    client.polling.post('42/echo,1["echo",1]')
    assert client.polling.get().text == "43/echo,1[1]"
    assert client.websocket.read_close() == 1008
    client.polling.post('42/echo,1["echo",2]')
    assert client.polling.get().text == "43/echo,1[2]"
    again = RawWebSocket(served.address, query=f"EIO=4&transport=websocket&sid={client.polling.sid}")
    again.send_text("2probe")
    assert again.read_text() == "3probe"


@pytest.mark.parametrize("first", ["5", "42/echo,[]", "2probes"])
def test_an_upgrade_that_skips_a_step_is_closed_and_the_session_lives(served: Served, first: str) -> None:
    client = Upgrading(served)
    client.websocket.send_text(first)
    assert client.websocket.read_close() == 1008
    client.polling.post('42/echo,1["echo",1]')
    assert client.polling.get().text == "43/echo,1[1]"


def test_of_two_websockets_one_wins(served: Served) -> None:
    client = Upgrading(served)
    second = handshake(f"/socket.io/?EIO=4&transport=websocket&sid={client.polling.sid}")
    assert ask(Wire(served.address), second).status == 400
    client.probe()
    client.websocket.send_text("5")
    wait_until(lambda: served.session().upgraded)
    assert ask(Wire(served.address), second).status == 400
    client.websocket.send_frame(TEXT, b'42/echo,1["echo",1]')
    assert client.websocket.read_text() == "43/echo,1[1]"


def test_a_polling_viewer_that_does_not_fetch_costs_a_bounded_amount(serve: Callable[..., Served]) -> None:
    served = serve(max_pending_bytes=50_000)
    client = Polling(served)
    session = served.session()
    frame = Frame(b"4" + b"x" * 9_999)
    taken = 0
    while session.offer(frame):
        taken += 1
    assert session.pending_bytes == taken * 10_000 <= 50_000
    drained = gevent.event.Event()
    session.when_drained(drained.set)
    assert client.get().text.encode() == b"\x1e".join([frame.packet] * taken)
    assert drained.wait(10)
    assert session.pending_bytes == 0


def test_a_polling_client_that_stops_polling_is_forgotten(serve: Callable[..., Served]) -> None:
    served = serve(ping_interval_s=0.05, ping_timeout_s=0.05)
    client = Polling(served)
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "ping timeout")]
    assert client.get().status_code == 400


def test_packets_that_a_closing_session_did_not_take_are_not_confirmed(served: Served) -> None:
    """The post is at work when the session ends; its second packet will never be looked at."""
    client = Polling(served, join=False)
    served.echo.gate.clear()
    post = gevent.spawn(client.post, '40/echo,\x1e42/echo,1["echo",1]')
    wait_until(lambda: served.session().posting)
    served.session().close()
    served.echo.gate.set()
    assert post.get(timeout=10).status_code == 400


def test_a_goodbye_of_the_clients_own_is_confirmed(served: Served) -> None:
    assert Polling(served).post("41/echo,\x1e1").text == "ok"


def test_a_client_that_is_to_come_back_is_not_told_to_stay_away(served: Served) -> None:
    """A CLOSE packet would end python-socketio's client for good."""
    waiting, between_polls = Polling(served), Polling(served)
    sessions = served.engine.sockets
    poll = gevent.spawn(waiting.get)
    wait_until(lambda: sessions[waiting.sid].polled)
    served.engine.send_away(500, 1)
    assert (poll.get(timeout=10).status_code, poll.get().json()["code"]) == (400, 1)
    assert between_polls.get().status_code == 400
    assert requests.get(f"{served.url}/socket.io/?EIO=4&transport=polling", timeout=10).status_code == 503
