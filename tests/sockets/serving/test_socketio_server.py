"""What a hand-made Socket.IO peer can do to a running worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import flask_socketio
import pytest

from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import BINARY, Closed, RawClient
from tests.sockets.serving.test_packets import MALFORMED


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param('2/echo,["connect",{"token":"forged"}]', id="forged connect"),
        pytest.param('2/echo,1["disconnect"]', id="forged disconnect"),
        pytest.param('51-/echo,["connect"]', id="attachments for a forged connect"),
        pytest.param('51-/text,["a"]', id="attachments from outside"),
        *(pytest.param(text, id=text[:24]) for text in MALFORMED[1:8]),
    ],
)
def test_a_forged_or_malformed_packet_closes_and_the_handler_knows_at_once(served: Served, packet: str) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_text("4" + packet)
    if packet.startswith("51-/echo"):
        client.send_frame(BINARY, b"")
    assert client.read_close() == 1008
    assert [served.next()[0], served.next()[0]] == ["connect", "disconnect"]
    assert served.echo.happened.empty()
    assert not served.echo.sids


def test_a_binary_frame_that_nothing_waits_for_closes(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_frame(BINARY, b"audio")
    assert client.read_close() == 1008


@pytest.mark.parametrize("name", ["__class__", "constructor", "emit", "trigger_event", "", "with space", "x" * 100_000])
def test_unknown_events_harm_nobody(served: Served, name: str) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_text(f"42/echo,{json.dumps([name])}")
    assert client.call("/echo", "echo", 1) == [1]


def test_others_do_not_wait_for_missing_attachments(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_text('451-/echo,["echo",{"_placeholder":true,"num":0}]')
    assert client.call("/echo", "echo", "meanwhile") == ["meanwhile"]
    client.send_frame(BINARY, b"audio")
    assert [served.next()[0], served.next(), served.next()] == ["connect", ("echo", "meanwhile"), ("echo", b"audio")]


def test_attachments_that_come_too_late_are_not_taken(serve: Callable[..., Served]) -> None:
    client = RawClient(serve(attachments_s=0.0).address, join="/echo")
    client.send_text('451-/echo,["echo",{"_placeholder":true,"num":0}]')
    assert client.call("/echo", "echo", "after") == ["after"]
    client.send_frame(BINARY, b"too late")
    assert client.read_close() == 1008


def test_attachments_are_bounded_in_sum(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_text('4510-/echo,["echo"]')
    for _ in range(3):
        client.send_frame(BINARY, bytes(400_000))
    assert client.read_close() == 1009


def test_an_unknown_namespace_and_a_second_join_are_refused_with_a_code(served: Served) -> None:
    client = RawClient(served.address)
    for namespace, code in (("/", "not_found"), ("/nowhere", "not_found"), ("/echo", None), ("/echo", "conflict")):
        if code is None:
            client.join(namespace)
            continue
        client.send_text("40" + ("" if namespace == "/" else f"{namespace},"))
        answer = client.read_text()
        refusal = json.loads(answer[answer.index("{") :])
        assert answer.startswith("44")
        assert refusal["code"] == refusal["data"]["code"] == code
        assert refusal["message"]
    assert client.call("/echo", "echo", 1) == [1]
    assert len(served.echo.sids) == 1


def test_a_refusal_keeps_its_code(served: Served) -> None:
    client = RawClient(served.address)
    client.send_text('40/echo,{"token":"bad"}')
    answer = client.read_text()
    assert json.loads(answer.removeprefix("44/echo,")) == {
        "code": "unauthenticated",
        "message": "Wrong token.",
        "data": {"code": "unauthenticated", "message": "Wrong token."},
    }
    client.join("/echo", {"token": "good"})
    assert served.next() == ("connect", {"token": "good"})


def test_joining_and_leaving_is_rate_limited(served: Served) -> None:
    client = RawClient(served.address)
    for _ in range(200):
        client.send_text("40/echo,")
        client.send_text("41/echo,")
    assert client.read_close() == 1008
    wait_until(lambda: not served.echo.sids)


def test_events_before_joining_and_after_leaving_are_ignored_with_few_words(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    client = RawClient(served.address)
    for _ in range(50):
        client.send_text('42/echo,1["echo","early"]')
    client.join("/echo")
    client.send_text("41/echo,")
    for _ in range(50):
        client.send_text('42/echo,1["echo","late"]')
    client.join("/echo")
    happened = [served.next()[0] for _ in range(3)]
    assert happened == ["connect", "disconnect", "connect"]
    assert served.echo.happened.empty()
    assert len(caplog.records) == 1


def test_leaving_every_namespace_starts_the_clock_again(serve: Callable[..., Served]) -> None:
    served = serve(join_s=0.1)
    client = RawClient(served.address, join="/echo")
    client.send_text("41/echo,")
    client.wait_for_end()


@pytest.mark.parametrize("ack", ["0", "-1", "9" * 100, "1", "77"])
def test_acknowledgements_nobody_asked_for_are_ignored(served: Served, ack: str) -> None:
    client = RawClient(served.address, join="/echo")
    (sid,) = served.echo.sids
    answers: list[Any] = []
    served.echo.emit("asked", to=sid, callback=lambda *args: answers.append(args))
    assert client.read_text() == '42/echo,1["asked"]'
    if ack != "1":
        client.send_text(f"43/echo,{ack}[]")
    client.send_text('43/echo,1["yes"]')
    client.send_text('43/echo,1["twice"]')
    assert client.call("/echo", "echo", 1) == [1]
    assert answers == [("yes",)]
    served.echo.emit("asked", to=sid, callback=lambda *args: answers.append(args))
    assert client.read_text() == '42/echo,2["asked"]'


def test_a_failing_handler_is_answered_and_logged_once(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    client = RawClient(served.address, join="/echo")
    for ack in range(1, 6):
        (answer,) = client.call("/echo", "fail", ack=ack)
        assert (answer["ok"], answer["error"]["code"]) == (False, "internal")
        assert "purpose" not in json.dumps(answer)
    (answer,) = client.call("/echo", "fail", "one too many")
    assert answer["error"]["code"] == "internal"
    assert [bool(record.exc_info) for record in caplog.records] == [True]


def test_inline_events_keep_their_order_and_answer(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    for number in range(50):
        client.send_text(f'42/echo,{number + 1}["inline",{number}]')
    assert [client.read_text() for _ in range(50)] == [f"43/echo,{number + 1}[{number}]" for number in range(50)]


def test_a_client_that_leaves_while_its_connect_handler_works_is_undone(served: Served) -> None:
    served.echo.gate.clear()
    client = RawClient(served.address)
    client.send_text("40/echo,")
    wait_until(lambda: bool(served.socketio.server.manager.pending_connect))
    session = served.session()
    session.close()
    served.echo.gate.set()
    assert [served.next()[0], served.next()[0]] == ["connect", "disconnect"]
    wait_until(lambda: not served.socketio.server.manager.rooms and not served.socketio.server.environ)
    client.wait_for_end()


def test_a_namespace_can_be_left_by_the_server(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    assert served.next()[0] == "connect"
    served.echo.disconnect(served.echo.sids[0])
    assert client.read_text() == "41/echo,"
    assert served.next() == ("disconnect", "server disconnect")
    served.echo.disconnect("nobody")
    client.join("/echo")


def test_floods_of_bad_connections_do_not_fill_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "parley"):
        for _ in range(100):
            client = RawClient(served.address)
            client.send_text("47")
            assert client.read_close() == 1008
    assert len(caplog.records) == 1
    assert not [record for record in caplog.records if record.exc_info]


def test_session_ids_are_secrets(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client = RawClient(served.address, join="/echo")
        client.call("/echo", "echo", "text of a user")
        served.echo.emit("to nobody", to="gone")
        client.send_text("47")
        client.wait_for_end()
    assert client.opening["sid"] not in caplog.text
    assert "text of a user" not in caplog.text
    ids = {served.engine.generate_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(sid) for sid in ids} == {43}


def test_flask_socketio_handlers_work_as_they_are_written_for_it(served: Served) -> None:
    """A namespace of Flask-SocketIO and a decorated function, each in a request context."""

    class Contextual(flask_socketio.Namespace):
        def on_connect(self, auth: Any) -> None:
            flask_socketio.emit("hello", auth)

        def on_where(self) -> str:
            from flask import request

            return str(request.path)

    served.socketio.on_namespace(Contextual("/contextual"))
    served.socketio.on_event("double", lambda number: number * 2, namespace="/plain")
    client = RawClient(served.address)
    client.send_text('40/contextual,{"a":1}')
    assert {client.read_text()[:14] for _ in range(2)} == {"40/contextual,", "42/contextual,"}
    assert client.call("/contextual", "where") == ["/socket.io/"]
    client.send_text("40/plain,")
    assert client.read_text().startswith("40/plain,")
    assert client.call("/plain", "double", 21) == [42]


def test_a_stopping_worker_sends_clients_elsewhere(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    served.worker.stop()
    assert client.read_close() == 1001
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "server shutdown")]
    with pytest.raises((ConnectionError, Closed)):
        RawClient(served.address)
