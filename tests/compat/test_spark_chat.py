"""Spark's own chat protocol: its clients work by a change of their address."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.pool
import pytest
import websocket
from gevent.event import Event

from config import ConfigError
from services import errors
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatMessage, ChatRequest
from services.turns.turns import START
from sockets.serving import websocket as websocket_of_ours
from sockets.spark import connection, endpoint
from tests.compat.replies import REPLIES, ROOM, give
from tests.compat.spark_client import LIMIT_S, PATH, Keys, Script, asked, issue, question, said, signed
from tests.scripted import words
from tests.servers import PASSWORD, Site, Stand
from tests.viewers import Device

UNVERIFIED = "HMAC signature cannot be verified"


@pytest.fixture
def ann(stand: Stand) -> dict[str, str]:
    return stand.site.register("ann")


@pytest.fixture
def keys(stand: Stand, ann: dict[str, str]) -> Keys:
    return issue(stand, ann)


@pytest.fixture
def address(stand: Stand) -> str:
    return stand.site.open()


def test_a_script_hears_the_documented_frames(stand: Stand, address: str, keys: Keys) -> None:
    """To the byte: one `sid`, which is the turn's; numbers from 0 without a gap; status 0, 1, 2; usage at the end."""
    going = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("你")
        going.wait(LIMIT_S)
        yield TextDelta("好 }{")
        yield Stop("stop", Usage(15, 27))

    stand.provider.script = script
    client = Script(signed(address, keys, stand.services.clock))
    client.ask(question(keys, "hello"))
    received = [client.socket.recv()]
    turn = json.loads(received[0])["header"]["sid"]
    going.set()
    received += [client.socket.recv(), client.socket.recv(), client.socket.recv()]
    header = f'"code":0,"message":"Success","sid":"{turn}"'
    spent = '{"text":{"question_tokens":13,"prompt_tokens":15,"completion_tokens":27,"total_tokens":42}}'
    assert received == [
        f'{{"header":{{{header},"status":0}},"payload":{{"choices":{{"status":0,"seq":0,'
        f'"text":[{{"content":"你","role":"assistant","index":0}}]}}}}}}',
        f'{{"header":{{{header},"status":1}},"payload":{{"choices":{{"status":1,"seq":1,'
        f'"text":[{{"content":"好 }}{{","role":"assistant","index":0}}]}}}}}}',
        f'{{"header":{{{header},"status":2}},"payload":{{"choices":{{"status":2,"seq":2,'
        f'"text":[{{"content":"","role":"assistant","index":0}}]}},"usage":{spent}}}}}',
        "",
    ]
    identity = stand.services.spark_keys.find(keys["api_key"])
    assert identity is not None
    log = stand.services.turns.attach(identity.identity, turn, START).log
    assert (log.answer(), log.ended and log.ended.status) == ("你好 }{", "done")


def test_the_question_reaches_the_model_as_it_was_asked(stand: Stand, address: str, keys: Keys) -> None:
    """System, history and numbers; an empty system message, as the desktop client sends, is none."""
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "erste"},
        {"role": "user", "content": "second"},
    ]
    assert said(asked(stand, address, keys, question(keys, talk, temperature=0.3, max_tokens=100, top_k=2))) == "hello"
    assert said(asked(stand, address, keys, question(keys, [{"role": "system", "content": ""}, talk[1]]))) == "hello"
    first, second = stand.provider.requests
    assert first.messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "first"),
        ChatMessage("assistant", "erste"),
        ChatMessage("user", "second"),
    )
    assert (first.temperature, first.max_tokens) == (0.3, 100)
    assert second.messages == (ChatMessage("user", "first"),)
    assert (second.temperature, second.max_tokens) == (0.5, 4_096)


@pytest.mark.parametrize(
    ("path", "domain"),
    [
        ("/spark/v1.1/chat", "lite"),
        ("/spark/v1.1/chat", "general"),
        ("/spark/v2.1/chat", "generalv2"),
        ("/spark/v3.1/chat", "generalv3"),
        ("/spark/v3.5/chat", "generalv3.5"),
        ("/spark/v4.0/chat", "4.0Ultra"),
        ("/spark/chat/pro-128k", "pro-128k"),
        ("/spark/chat/max-32k", "max-32k"),
        ("/spark/v1/x1", "x1"),
        ("/spark/v1/x1", "spark-x"),
        ("/spark/x2", "spark-x"),
        ("/spark/v3.5/chat", "scripted"),  # a model of this server, by its id
    ],
)
def test_every_path_of_the_vendor_is_served(stand: Stand, address: str, keys: Keys, path: str, domain: str) -> None:
    assert said(asked(stand, address, keys, question(keys, domain=domain), path=path)) == "hello"


def test_reasoning_stands_beside_the_answer(stand: Stand, address: str, keys: Keys) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        yield ReasoningDelta("hm")
        yield TextDelta("yes")
        yield Stop("stop")

    stand.provider.script = script
    frames = asked(stand, address, keys, question(keys, domain="x1"), path="/spark/v1/x1")
    assert frames[0]["payload"]["choices"]["text"] == [
        {"content": "", "reasoning_content": "hm", "role": "assistant", "index": 0}
    ]
    assert [frame["payload"]["choices"]["seq"] for frame in frames] == list(range(len(frames)))
    assert said(frames) == "yes"


@pytest.mark.parametrize(
    ("over", "status", "message"),
    [
        ({"path": "/spark/v9/chat"}, 401, "Unauthorized"),
        ({"authorization": "-"}, 401, "Unauthorized"),
        ({"authorization": "!"}, 401, UNVERIFIED),
        ({"authorization": "eyJ9"}, 401, UNVERIFIED),
        ({"authorization": "5L2g5aW9"}, 401, UNVERIFIED),
        ({"key": "k_0000"}, 401, f"{UNVERIFIED}: apikey not found"),
        ({"key": "\u4f60" * 20}, 401, f"{UNVERIFIED}: apikey not found"),
        ({"key": "k" * 5_000}, 401, f"{UNVERIFIED}: apikey not found"),
        ({"secret": "another"}, 401, "HMAC signature does not match"),
        ({"host": "spark-api.xf-yun.com"}, 401, "HMAC signature does not match"),
        ({"date": "Sat, 21 Nov 2099 00:00:00 GMT"}, 403, f"{UNVERIFIED}, a valid date or x-date header"),
        ({"date": "now"}, 403, f"{UNVERIFIED}, a valid date or x-date header"),
        ({"date": "-"}, 403, f"{UNVERIFIED}, a valid date or x-date header"),
    ],
)
def test_a_wrong_address_is_refused_before_the_upgrade(
    stand: Stand, address: str, keys: Keys, over: dict[str, str], status: int, message: str
) -> None:
    """With the vendor's status and sentence; nothing reaches a model."""
    keys = {**keys, "api_key": over.pop("key", keys["api_key"])}
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(signed(address, keys, stand.services.clock, **over), timeout=LIMIT_S)
    assert refused.value.status_code == status
    assert json.loads(refused.value.resp_body or b"")["message"].startswith(message)
    assert stand.provider.requests == []


def test_an_address_is_good_for_its_path_and_five_minutes(stand: Stand, address: str, keys: Keys) -> None:
    clock = stand.services.clock
    began = clock.now_ms()
    url = signed(address, keys, clock)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url.replace("v3.5", "v4.0"), timeout=LIMIT_S)
    for seconds, good in ((299, True), (-298, True), (302, False), (-302, False)):
        clock.now_ms = lambda: began + seconds * 1000  # type: ignore[method-assign]  # noqa: B023
        if good:
            assert said(Script(url).ask(question(keys)).frames()) == "hello"
        else:
            with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
                websocket.create_connection(url, timeout=LIMIT_S)


def test_an_address_that_was_found_in_a_log_is_good_for_nobody_else(site_env: dict[str, str]) -> None:
    """Its app may use it again, as apps do that ask twice in one second or reconnect; another peer may not."""
    stand = Stand({**site_env, "TRUSTED_PROXIES": "127.0.0.1"})
    keys, address = issue(stand, stand.site.register("ann")), stand.site.open()
    url = signed(address, keys, stand.services.clock)
    for peer in ("203.0.113.7", "203.0.113.7"):
        assert said(Script(url, [f"X-Forwarded-For: {peer}"]).ask(question(keys)).frames()) == "hello"
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        Script(url, ["X-Forwarded-For: 203.0.113.8"])
    stand.site.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("no JSON", 10003),
        ({"header": None}, 10004),
        ({"parameter": {}}, 10004),
        ({"parameter": {"chat": {}}}, 10004),
        ({"payload": {"message": {}}}, 10004),
        ({"header": {"app_id": "another"}}, 11200),
        ({"parameter": {"chat": {"domain": "generalv3"}}}, 10003),
        ({"parameter": {"chat": {"domain": "generalv3.5", "temperature": 0}}}, 10005),
        ({"parameter": {"chat": {"domain": "generalv3.5", "temperature": 1.1}}}, 10005),
        ({"parameter": {"chat": {"domain": "generalv3.5", "top_k": 7}}}, 10005),
        ({"parameter": {"chat": {"domain": "generalv3.5", "max_tokens": 0}}}, 10005),
        ({"payload": {"message": {"text": []}}}, 10003),
        ({"payload": {"message": {"text": [{"role": "user"}]}}}, 10003),
        ({"payload": {"message": {"text": [{"role": "user", "content": " "}]}}}, 10003),
        ({"payload": {"message": {"text": [{"role": "assistant", "content": "a"}]}}}, 10003),
        ({"payload": {"message": {"text": [{"role": "user", "content": "/9j/", "content_type": "image"}]}}}, 10003),
        ({"payload": {"functions": {"text": [{}]}, "message": {"text": [{"role": "user", "content": "a"}]}}}, 10003),
    ],
)
def test_a_wrong_question_is_refused_by_number(stand: Stand, address: str, keys: Keys, change: Any, code: int) -> None:
    """In one frame without a payload, after which the connection ends."""
    message = change if isinstance(change, str) else {**question(keys), **change}
    (frame,) = asked(stand, address, keys, message)
    assert (frame["header"]["code"], frame["header"]["status"], "payload" in frame) == (code, 2, False)
    assert frame["header"]["sid"] and ":(" in frame["header"]["message"]
    assert stand.provider.requests == []


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        ("VendorRefused", 10012, 10012),
        ("VendorTimeout", 10010, 10010),
        ("VendorOverloaded", 10110, 10110),
        ("ContentBlocked", 10013, 10014),
    ],
)
def test_a_failed_answer_ends_with_a_number(
    stand: Stand, address: str, keys: Keys, error: str, before: int, after: int
) -> None:
    """Before any text and after some; the vendor's words stay here."""
    for pieces, code in (((), before), (("so ", "far"), after)):

        def script(request: ChatRequest, pieces: tuple[str, ...] = pieces) -> Iterator[Any]:
            yield from map(TextDelta, pieces)
            raise getattr(errors, error)("The model failed.")

        stand.provider.script = script
        *told, last = asked(stand, address, keys)
        assert said(told) == "".join(pieces)
        assert (last["header"]["code"], last["header"]["status"], "payload" in last) == (code, 2, False)


def test_an_account_that_is_spent_is_told_by_number(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "INITIAL_TOKENS": "10"})
    keys = issue(stand, stand.site.register("ann"))
    (frame,) = asked(stand, stand.site.open(), keys)
    assert frame["header"]["code"] == 11200
    stand.audit()
    stand.site.close()


def test_what_it_cost_is_what_is_charged(stand: Stand, address: str, ann: dict[str, str], keys: Keys) -> None:
    client = stand.site.client()
    had = client.get("/v1/auth/me", headers=ann).get_json()["quota"]["tokens"]
    stand.provider.script = words("yes", usage=Usage(11, 7))
    assert asked(stand, address, keys)[-1]["payload"]["usage"]["text"]["total_tokens"] == 18
    assert had - client.get("/v1/auth/me", headers=ann).get_json()["quota"]["tokens"] == 18


def test_the_answer_is_watched_live_by_its_user_only(
    stand: Stand, address: str, ann: dict[str, str], keys: Keys
) -> None:
    """On `/text`, under the name `header.sid`; a stop there ends the frames in good order."""
    watched, going = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        going.set()
        watched.wait(LIMIT_S)
        yield TextDelta("two")
        while True:
            gevent.sleep(0.01)
            yield ReasoningDelta("hm")

    stand.provider.script = script
    client = Script(signed(address, keys, stand.services.clock)).ask(question(keys))
    turn = client.frame()["header"]["sid"]
    assert going.wait(LIMIT_S)
    device = Device(address, token=ann["Authorization"].removeprefix("Bearer ")).connect()
    assert [running["turn"] for running in device.call("sync")["running"]] == [turn]
    device.attach(turn)
    stranger = Device(address).connect()
    assert stranger.call("turn_attach", {"turn": turn, "epoch": 1, "after": 0})["error"]["code"] == "not_found"
    watched.set()
    with gevent.Timeout(LIMIT_S):
        while device.seen(turn).text != "one two":
            gevent.sleep(0.01)
    assert device.call("turn_stop", {"turn": turn})["status"] == "stopped"
    frames = client.frames()
    assert said(frames) == "two"
    assert frames[-1]["header"]["status"] == 2
    assert device.seen(turn).whole()["reason"] == "user"
    for each in (device, stranger):
        each.leave()


@pytest.mark.parametrize("after", [0, 1])
def test_a_client_that_leaves_stops_its_answer(stand: Stand, address: str, keys: Keys, after: int) -> None:
    """As the vendor's clients stop one; what had come is stored and charged."""
    asked_for, ended = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        asked_for.set()
        try:
            yield from [TextDelta("partial")] * after
            while True:
                gevent.sleep(0.01)
                yield ReasoningDelta("hm")
        finally:
            ended.set()

    stand.provider.script = script
    client = Script(signed(address, keys, stand.services.clock)).ask(question(keys))
    assert asked_for.wait(LIMIT_S)
    sid = client.frame()["header"]["sid"]
    client.leave()
    assert ended.wait(LIMIT_S)
    holder = stand.services.spark_keys.find(keys["api_key"])
    assert holder is not None
    stopped = stand.services.turns.stop(holder.identity, turn_id=sid)
    assert (stopped.status, stopped.length) == ("stopped", 7 * after)
    assert stand.services.metrics.registry.get_sample_value("parley_spark_connections") == 0


def test_a_connection_has_one_question(stand: Stand, address: str, keys: Keys) -> None:
    """What comes after it is not read; bytes are taken for text; too many of them are not taken."""
    client = Script(signed(address, keys, stand.services.clock)).ask(question(keys))
    client.ask(question(keys, "again"))
    assert said(client.frames()) == "hello"
    assert len(stand.provider.requests) == 1
    client = Script(signed(address, keys, stand.services.clock))
    client.socket.send_binary(json.dumps(question(keys)).encode())
    assert said(client.frames()) == "hello"
    client = Script(signed(address, keys, stand.services.clock))
    client.ask("x" * 1_000_001)
    assert client.socket.recv_data()[1][:2] == (1009).to_bytes(2, "big")


def test_a_client_that_talks_on_and_on_is_let_go(stand: Stand, address: str, keys: Keys) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        while True:
            gevent.sleep(0.01)
            yield ReasoningDelta("hm")

    stand.provider.script = script
    client = Script(signed(address, keys, stand.services.clock)).ask(question(keys))
    client.frame()
    for _ in range(100):
        client.ask("and another thing")
    while (told := client.socket.recv_data())[0] != websocket.ABNF.OPCODE_CLOSE:
        pass
    assert told[1][:2] == (1008).to_bytes(2, "big")
    client.leave()


def test_who_asks_nothing_is_let_go(stand: Stand, address: str, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "QUESTION_S", 0.05)
    (frame,) = Script(signed(address, keys, stand.services.clock)).frames()
    assert frame["header"]["code"] == 10001


def test_who_answers_no_ping_is_let_go(stand: Stand, address: str, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is dead costs nothing for ever, though nobody closed it; one that answers goes on."""
    monkeypatch.setattr(connection, "PONG_S", 0.3)
    object.__setattr__(stand.site.endpoints[0]._limits, "ping_interval_s", 0.1)
    ended = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        try:
            for _ in range(80):
                gevent.sleep(0.01)
                yield ReasoningDelta("hm")
            yield TextDelta("alive")
            yield Stop("stop")
        finally:
            ended.set()

    stand.provider.script = script
    assert said(asked(stand, address, keys)) == "alive"
    ended.clear()
    dead = Script(signed(address, keys, stand.services.clock)).ask(question(keys))
    assert ended.wait(LIMIT_S)
    assert stand.provider.hung_up == 1
    dead.leave()


def test_connections_of_one_user_are_counted(
    stand: Stand, address: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MOST_OPEN", 2)
    held = [Script(signed(address, keys, stand.services.clock)) for _ in range(2)]
    (frame,) = Script(signed(address, keys, stand.services.clock)).frames()
    assert frame["header"]["code"] == 11203
    other = issue(stand, stand.site.register("bob"))
    assert said(asked(stand, address, other)) == "hello"
    assert said(held[0].ask(question(keys)).frames()) == "hello"
    held[1].leave()
    with gevent.Timeout(LIMIT_S):
        while stand.services.metrics.registry.get_sample_value("parley_spark_connections"):
            gevent.sleep(0.005)
    assert said(asked(stand, address, keys)) == "hello"


def test_a_slow_reader_loses_nothing(site_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent no more than its bound until it reads on; the model is not held up."""
    stand = Stand({**site_env, "MAX_PENDING_BYTES": "16384"})
    keys, address = issue(stand, stand.site.register("ann")), stand.site.open()
    said_all, refused = Event(), Event()
    pieces = [f"{number} 好{{}}" + "x" * 1_000 for number in range(400)]
    build = websocket_of_ours.WebSocket.__init__

    def noting(self: Any, sock: socket.socket, *args: Any, **options: Any) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        build(self, sock, *args, **options)
        given = self.offer

        def told(data: bytes) -> bool:
            taken: bool = given(data)
            if not taken:
                refused.set()
            return taken

        self.offer = told

    monkeypatch.setattr(websocket_of_ours.WebSocket, "__init__", noting)

    def script(request: ChatRequest) -> Iterator[Any]:
        for piece in pieces:
            gevent.sleep(0)
            yield TextDelta(piece)
        said_all.set()
        yield Stop("stop", Usage(1, 1))

    stand.provider.script = script
    url = signed(address, keys, stand.services.clock)
    small = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048),)
    client = Script(url, sockopt=small).ask(question(keys, max_tokens=131_072))
    assert said_all.wait(LIMIT_S)
    assert refused.wait(LIMIT_S)
    frames = client.frames()
    assert said(frames) == "".join(pieces)
    assert [frame["payload"]["choices"]["seq"] for frame in frames] == list(range(len(frames)))
    stand.site.close()


def test_fifty_long_answers_are_read_whole(site_env: dict[str, str]) -> None:
    """Five at once; what a script puts together is what the model said."""
    stand = Stand({**site_env, **ROOM})
    keys, address, replies = issue(stand, stand.site.register("ann")), stand.site.open(), give(stand)

    def read(number: int) -> None:
        asked_for = f"question {number}"
        frames = asked(stand, address, keys, question(keys, asked_for, max_tokens=90_000))
        assert said(frames) == replies[asked_for]

    pool = gevent.pool.Pool(5)
    with gevent.Timeout(3 * LIMIT_S):
        for job in [pool.spawn(read, number) for number in range(REPLIES)]:
            job.get()
    stand.audit()
    stand.site.close()


def test_a_key_is_shown_once_and_opens_nothing_else(stand: Stand, ann: dict[str, str], keys: Keys) -> None:
    client = stand.site.client()
    (listed,) = client.get("/v1/spark/keys", headers=ann).get_json()["keys"]
    assert listed == {
        "api_key": keys["api_key"],
        "app_id": keys["app_id"],
        "name": "desk",
        "created_ms": keys["created_ms"],
        "last_used_ms": None,
    }
    for half in (keys["api_key"], keys["api_secret"]):
        assert client.get("/v1/auth/me", headers={"Authorization": f"Bearer {half}"}).status_code == 401
    with stand.services.engine.connect() as database:
        (stored,) = database.exec_driver_sql("SELECT * FROM bearer_token WHERE origin = 'spark'").all()
    assert keys["api_secret"] not in map(str, stored)
    assert keys["api_secret"] not in repr(stand.services.spark_keys.find(keys["api_key"]))


def test_guests_have_no_keys_and_users_not_without_end(stand: Stand, ann: dict[str, str]) -> None:
    guest = stand.site.client().post("/v1/auth/guest", json={}).get_json()["token"]
    told = stand.site.client().post("/v1/spark/keys", json={"name": "x"}, headers={"Authorization": f"Bearer {guest}"})
    assert (told.status_code, told.get_json()["error"]["code"]) == (403, "forbidden")
    made = {issue(stand, ann, str(number))["api_secret"] for number in range(20)}
    assert len(made) == 20
    refused = stand.site.client().post("/v1/spark/keys", json={"name": "one more"}, headers=ann)
    assert refused.status_code == 409


def test_a_key_ends_when_it_is_revoked_and_with_the_password(
    stand: Stand, address: str, ann: dict[str, str], keys: Keys
) -> None:
    client, other = stand.site.client(), issue(stand, ann, "other")
    assert client.delete(f"/v1/spark/keys/{keys['api_key']}", headers=ann).status_code == 200
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        Script(signed(address, keys, stand.services.clock))
    assert said(asked(stand, address, other)) == "hello"
    (listed,) = client.get("/v1/spark/keys", headers=ann).get_json()["keys"]
    assert listed["last_used_ms"] is not None
    client.post("/v1/auth/password", json={"old": PASSWORD, "new": "another password"}, headers=ann)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        Script(signed(address, other, stand.services.clock))


def test_a_key_is_good_at_every_process_and_no_longer_under_another_secret(
    stand: Stand, keys: Keys, site_env: dict[str, str]
) -> None:
    """It is worked out from what they share."""
    second = Stand(site_env)
    assert said(asked(second, second.site.open(), keys)) == "hello"
    second.site.close()
    third = Stand({**site_env, "FLASK_SECRET_KEY": "another secret of this server"})
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        Script(signed(third.site.open(), keys, third.services.clock))
    third.site.close()


def test_a_stop_of_the_server_says_goodbye(stand: Stand, address: str, keys: Keys) -> None:
    client = Script(signed(address, keys, stand.services.clock))
    stopping = gevent.spawn(stand.site.close)
    assert client.socket.recv_data()[1][:2] == (1001).to_bytes(2, "big")
    client.leave()
    stopping.join(LIMIT_S)


def test_it_can_stand_elsewhere_or_nowhere(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "SPARK_CHAT_PATH": "/llm/spark"})
    keys, address = issue(stand, stand.site.register("ann")), stand.site.open()
    assert said(asked(stand, address, keys, path="/llm/spark/v3.5/chat")) == "hello"
    for path in (PATH, "/llm/v3.5/chat", "/v1/models"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
            Script(signed(address, keys, stand.services.clock, path=path))
    stand.site.close()
    site = Site({**site_env, "SPARK_CHAT_PATH": "off"})
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        websocket.create_connection(site.open().replace("http", "ws") + PATH, timeout=LIMIT_S)
    site.close()
    with pytest.raises(ConfigError, match="SPARK_CHAT_PATH"):
        Site({**site_env, "SPARK_CHAT_PATH": "spark"})


# The vendor's package cannot be installed for Python 3.13; the plain script above judges there as well.
if sys.version_info < (3, 13):
    from sparkai.core.messages import ChatMessage as TheirMessage
    from sparkai.errors import SparkAIConnectionError
    from sparkai.llm.llm import ChatSparkLLM

    HELLO = [TheirMessage(role="user", content="Hello 世界")]

    def vendors_own(address: str, keys: Keys, *, domain: str = "generalv3.5", streaming: bool = True) -> ChatSparkLLM:
        return ChatSparkLLM(
            spark_api_url=address.replace("http", "ws") + PATH,
            spark_app_id=keys["app_id"],
            spark_api_key=keys["api_key"],
            spark_api_secret=keys["api_secret"],
            spark_llm_domain=domain,
            streaming=streaming,
            request_timeout=5,
        )

    def test_the_vendors_own_client_completes_a_call(stand: Stand, address: str, keys: Keys) -> None:
        """In pieces and whole, with the count."""
        stand.provider.script = words("春眠", " }{ ", "😀", usage=Usage(5, 3))
        chunks = list(vendors_own(address, keys).stream(HELLO))
        assert "".join(str(chunk.content) for chunk in chunks) == "春眠 }{ 😀"
        (count,) = [chunk.additional_kwargs["token_usage"] for chunk in chunks if chunk.additional_kwargs]
        assert count["total_tokens"] == 8
        whole = vendors_own(address, keys, streaming=False).generate([HELLO])
        assert whole.generations[0][0].text == "春眠 }{ 😀"
        assert [request.messages[-1].text for request in stand.provider.requests] == ["Hello 世界"] * 2

    def test_the_vendors_own_client_sees_a_refusal(stand: Stand, address: str, keys: Keys) -> None:
        """With its number: of a domain that is not the path's, of a failed answer; a wrong key as -1 and 401."""
        with pytest.raises(SparkAIConnectionError) as refused:
            list(vendors_own(address, keys, domain="generalv3").stream(HELLO))
        assert refused.value.error_code == 10003

        def script(request: ChatRequest) -> Iterator[Any]:
            yield TextDelta("so far")
            raise errors.VendorOverloaded("The model is busy.")

        stand.provider.script = script
        with pytest.raises(SparkAIConnectionError) as refused:
            list(vendors_own(address, keys).stream(HELLO))
        assert refused.value.error_code == 10110
        with pytest.raises(SparkAIConnectionError) as refused:
            list(vendors_own(address, {**keys, "api_key": "another"}).stream(HELLO))
        assert refused.value.error_code == -1
        assert "401" in str(refused.value)
