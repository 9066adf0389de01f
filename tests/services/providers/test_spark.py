"""Spark against its simulator: versions, signatures, numbers, frames and the HTTP endpoint."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

import config
from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatMessage, ChatRequest
from services.providers.spark import HTTP_URL, SOCKET_URL, Spark, SparkSettings
from services.providers.spark_codes import CODES, HANDSHAKE, PASSWORD, UNKNOWN
from services.providers.spark_versions import VERSIONS, version_of
from simulators.spark import APP_ID, KEY, SECRET, SparkFault, SparkSimulator, answer_to
from tests.clocks import FakeClock

PROMPT = "Say 床前明月光 😀"
SOCKET, HTTP = "socket", "http"
THIRD = "".join(answer_to(PROMPT)[:3])


def env_of(simulator: SparkSimulator, way: str = SOCKET) -> dict[str, str]:
    if way == HTTP:
        return {"SPARK_API_PASSWORD": KEY, "SPARK_BASE_URL": simulator.url}
    keys = {"SPARK_APP_ID": APP_ID, "SPARK_API_KEY": KEY, "SPARK_API_SECRET": SECRET}
    return {**keys, "SPARK_BASE_URL": simulator.ws_url}


def build(env: dict[str, str], clock: FakeClock | None = None) -> Spark:
    return Spark(config.read(SparkSettings, env, prefix="SPARK"), clock)


@dataclass
class Bench:
    """A simulator and a provider in front of it."""

    simulator: SparkSimulator
    spark: Spark

    def request(self, *messages: ChatMessage, model: str = "max", **fields: Any) -> ChatRequest:
        return ChatRequest(model=model, messages=messages or (ChatMessage("user", PROMPT),), **fields)

    def ask(self, *messages: ChatMessage, fault: SparkFault | None = None, **fields: Any) -> list[Any]:
        if fault is not None:
            self.simulator.play(fault)
        return list(self.spark.stream(self.request(*messages, **fields)))

    def fail(self, fault: SparkFault | None = None, **fields: Any) -> tuple[str, VendorError]:
        """The text before the error, and the error."""
        if fault is not None:
            self.simulator.play(fault)
        pieces: list[str] = []
        with pytest.raises(VendorError) as caught:
            pieces.extend(piece.text for piece in self.spark.stream(self.request(**fields)))  # type: ignore[union-attr]
        return "".join(pieces), caught.value

    def sent(self) -> dict[str, Any]:
        return self.simulator.calls[-1].json


def text_of(pieces: list[Any]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


@pytest.fixture
def simulator() -> Iterator[SparkSimulator]:
    with SparkSimulator() as simulator:
        yield simulator


@pytest.fixture(params=[SOCKET])
def bench(request: pytest.FixtureRequest, simulator: SparkSimulator) -> Iterator[Bench]:
    spark = build(env_of(simulator, request.param))
    yield Bench(simulator, spark)
    spark.close()


both_ways = pytest.mark.parametrize("bench", [SOCKET, HTTP], indirect=True)


# Settings and versions


def test_the_way_follows_from_what_is_set() -> None:
    """Three keys mean the WebSocket, a password alone the HTTP endpoint, each at the vendor's own address."""
    keys = {"SPARK_APP_ID": APP_ID, "SPARK_API_KEY": KEY, "SPARK_API_SECRET": SECRET}
    over_socket, over_http = build({**keys, "SPARK_API_PASSWORD": "p"}), build({"SPARK_API_PASSWORD": "p"})
    assert over_socket._socket is not None
    assert over_socket._socket._base_url == SOCKET_URL
    assert over_http._http is not None
    assert over_http._http._base_url == HTTP_URL
    assert all(card.available for spark in (over_socket, over_http) for card in spark.models())
    assert not any(card.available for card in build({}).models())
    with pytest.raises(VendorRefused):
        list(build({}).stream(ChatRequest("lite", ())))


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"SPARK_APP_ID": APP_ID, "SPARK_API_KEY": KEY}, "SPARK_API_SECRET"),
        ({"SPARK_API_KEY": KEY, "SPARK_API_SECRET": SECRET}, "SPARK_APP_ID"),
        ({"SPARK_API_SECRET": "a b"}, "SPARK_APP_ID"),
        ({"SPARK_API_PASSWORD": "密码"}, "SPARK_API_PASSWORD"),
        ({"SPARK_VERSION": "lite,v9"}, "SPARK_VERSION"),
        ({"SPARK_BASE_URL": "spark.example"}, "SPARK_BASE_URL"),
        ({"SPARK_BASE_URL": "ftp://spark.example"}, "SPARK_BASE_URL"),
    ],
)
def test_what_can_never_work_is_named_before_the_start(env: dict[str, str], named: str) -> None:
    """In both languages, without the value of a secret."""
    with pytest.raises(config.ConfigError) as refused:
        build(env)
    assert refused.value.name == named
    assert named in refused.value.chinese
    assert refused.value.chinese != str(refused.value)
    assert KEY not in str(refused.value)


def test_the_named_versions_come_first() -> None:
    """By whatever name people know them; a retired one is listed only where it is named."""
    assert [card.id for card in build({"SPARK_VERSION": "4.0Ultra, /v3.1/chat, v3.5, x1"}).models()][:5] == [
        "spark-ultra",
        "spark-pro",
        "spark-max",
        "spark-x1",
        "spark-lite",
    ]
    assert "spark-v2" not in {card.id for card in build({}).models()}
    assert "spark-v2" in {card.id for card in build({"SPARK_VERSION": "generalv2"}).models()}
    assert (version_of("spark-x"), version_of("general")) == (VERSIONS["x1"], VERSIONS["lite"])


def test_a_retired_version_is_adopted_when_the_owner_names_it() -> None:
    """By its id; other vendors' models are not Spark's."""
    spark = build({})
    assert spark.adopt("spark-v2")
    assert "spark-v2" in {card.id for card in spark.models()}
    assert not any(spark.adopt(name) for name in ("gpt-4o", "spark-v9", "spark-", "spark-generalv2"))


@both_ways
@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_every_version_answers_at_its_own_place(bench: Bench, version: Any) -> None:
    """Path and domain fit together, and the ones that reason are heard reasoning."""
    if bench.spark._http and version.is_retired:
        assert type(bench.fail(model=version.key)[1]) is VendorRefused  # HTTP never had it
        return
    pieces = bench.ask(model=version.key)
    assert text_of(pieces) == "".join(answer_to(PROMPT))
    assert any(isinstance(piece, ReasoningDelta) for piece in pieces) == version.reasons
    assert pieces[-1] == Stop("stop", Usage(bench.simulator.calls[-1].prompt_tokens, len(pieces) - 1))


# What is sent


def says(role: Any, text: str) -> ChatMessage:
    return ChatMessage(role, text)


@both_ways
def test_messages_take_turns(bench: Bench) -> None:
    """As the vendor insists: neighbours of one role are joined, lone answers and empty messages left out."""
    bench.ask(
        says("system", "Be brief."),
        says("assistant", "an answer whose question was cut off"),
        says("user", "one"),
        says("user", "two"),
        says("assistant", ""),
        says("assistant", "three"),
        says("user", "four"),
    )
    sent = bench.sent()
    texts = sent["messages"] if "messages" in sent else sent["payload"]["message"]["text"]
    assert [(text["role"], text["content"]) for text in texts] == [
        ("system", "Be brief."),
        ("user", "one\n\ntwo"),
        ("assistant", "three"),
        ("user", "four"),
    ]


@both_ways
def test_a_version_without_system_messages_reads_them_in_the_question(bench: Bench) -> None:
    """Lite refuses the role; what it should know is not lost."""
    bench.ask(says("system", "Be brief."), says("user", "one"), model="lite")
    sent = bench.sent()
    texts = sent["messages"] if "messages" in sent else sent["payload"]["message"]["text"]
    assert [text["content"] for text in texts] == ["Be brief.\n\none"]


@both_ways
@pytest.mark.parametrize(("asked", "sent"), [(0.0, 0.01), (0.5, 0.5), (1.9, 1.0)])
def test_values_are_brought_into_range(bench: Bench, asked: float, sent: float) -> None:
    """A temperature of 0 is refused by the vendor, and so is an answer longer than the version gives."""
    bench.ask(temperature=asked, max_tokens=1_000_000, top_p=0.5)
    chat = bench.sent().get("parameter", {}).get("chat") or bench.sent()
    assert (chat["temperature"], chat["max_tokens"]) == (sent, VERSIONS["max"].max_output_tokens)


def test_users_are_told_apart_by_a_short_id_that_says_nothing(bench: Bench) -> None:
    """The same from turn to turn; another one while an answer of the same user runs, for Spark takes one at a time."""
    uids = []
    for _ in range(2):
        bench.ask(user="a-user-with-a-very-long-name@example.com")
        uids.append(bench.sent()["header"]["uid"])
    bench.simulator.play(SparkFault(silent_after=1))
    running = bench.spark.stream(bench.request(user="a-user-with-a-very-long-name@example.com"))
    next(running)
    assert text_of(bench.ask(user="a-user-with-a-very-long-name@example.com")) == "".join(answer_to(PROMPT))
    uids.append(bench.sent()["header"]["uid"])
    running.close()
    bench.ask()
    assert "uid" not in bench.sent()["header"]
    assert uids[0] == uids[1] != uids[2]
    assert {len(uid) for uid in uids} == {32}
    assert not any("user" in uid for uid in uids)


# The handshake


def test_every_connection_is_signed_anew(simulator: SparkSimulator) -> None:
    """An hour later the first signature would be refused."""
    clock = FakeClock()
    simulator.now = lambda: clock.now_ms() / 1000
    bench = Bench(simulator, build(env_of(simulator), clock))
    for _ in range(2):
        assert text_of(bench.ask()) == "".join(answer_to(PROMPT))
        clock.advance(3_600)
    first, second = (call.request.path for call in simulator.calls)
    assert first != second


@pytest.mark.parametrize("off_s", [-301, 301])
def test_a_wrong_clock_is_told_as_such(simulator: SparkSimulator, off_s: int, caplog: pytest.LogCaptureFixture) -> None:
    """To the owner with the number of seconds; a little off still works, and the log warns."""
    clock = FakeClock()
    simulator.now = lambda: clock.now_ms() / 1000
    bench = Bench(simulator, build(env_of(simulator), clock))
    simulator.now = lambda: clock.now_ms() / 1000 - off_s
    text, error = bench.fail()
    assert (text, type(error)) == ("", VendorRefused)
    assert "clock" in error.message
    assert HANDSHAKE["clock"].english in caplog.text
    assert f"301 seconds {'ahead of' if off_s > 0 else 'behind'} Spark's" in caplog.text
    caplog.clear()
    simulator.now = lambda: clock.now_ms() / 1000 - off_s / 3
    assert text_of(bench.ask()) == "".join(answer_to(PROMPT))
    assert "seconds off Spark's" in caplog.text


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"SPARK_API_KEY": "another-key"}, "key"),
        ({"SPARK_API_SECRET": "another-secret"}, "secret"),
        ({"SPARK_BASE_URL": "{}/mirror"}, "path"),
    ],
)
def test_a_refused_handshake_tells_the_owner_what_to_mend(
    simulator: SparkSimulator, change: dict[str, str], row: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log; neither there nor in the error are keys, and the error has nothing of the vendor's."""
    caplog.set_level(logging.DEBUG)
    change = {name: value.format(simulator.ws_url) for name, value in change.items()}
    spark = build({**env_of(simulator), **change})
    text, error = Bench(simulator, spark).fail()
    assert (text, type(error)) == ("", VendorRefused)
    assert HANDSHAKE[row].english in caplog.text
    for secret in (KEY, SECRET, APP_ID, "another-", "authorization="):
        assert secret not in caplog.text
        assert secret not in error.message
    assert "HMAC" not in error.message


def test_a_network_address_that_is_not_let_in_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The vendor's 403 has several meanings; a clock that is right is not blamed."""
    bench.simulator.play(SparkFault(status=403))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulators.spark.FAULT_WORDS", "Your IP address is not allowed")
        assert type(bench.fail()[1]) is VendorRefused
    assert HANDSHAKE["address"].english in caplog.text


# Numbers


@both_ways
@pytest.mark.parametrize("code", CODES)
def test_every_number_is_one_of_our_errors(bench: Bench, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """Before the text and in its middle; what a review stops in the middle keeps what was shown."""
    advice = CODES[code]
    text, error = bench.fail(SparkFault(error_after=0, code=str(code)))
    assert (text, type(error), error.retry_after_s) == ("", advice.kind, advice.wait_s)
    assert "Simulated" not in error.message
    assert KEY not in error.message + caplog.text
    assert advice.english in caplog.text
    if advice.kind is ContentBlocked:
        pieces = bench.ask(fault=SparkFault(error_after=3, code=str(code)))
        assert (text_of(pieces), pieces[-1]) == (THIRD, Stop("content_filter", None))
    else:
        text, error = bench.fail(SparkFault(error_after=3, code=str(code)))
        assert (text, type(error)) == (THIRD, advice.kind)


@pytest.mark.parametrize("bench", [HTTP], indirect=True)
@pytest.mark.parametrize("code", CODES)
def test_a_number_counts_more_than_the_status_it_comes_with(bench: Bench, code: int) -> None:
    """Which status goes with which number is not written anywhere."""
    for status in (400, 500):
        assert type(bench.fail(SparkFault(status=status, code=str(code)))[1]) is CODES[code].kind


def test_a_number_that_is_not_known_may_pass(bench: Bench) -> None:
    """Asking again is safe, and it is in the log."""
    assert type(bench.fail(SparkFault(error_after=0, code="19999"))[1]) is VendorOverloaded


def test_the_owner_is_told_what_to_do_in_both_languages() -> None:
    """One sentence each, with nothing in it that must not be shown."""
    rows = [*CODES.items(), *HANDSHAKE.items(), ("password", PASSWORD), ("unknown", UNKNOWN)]
    for name, advice in rows:
        assert re.fullmatch(r"[A-Z'][^。]{20,}\.", advice.english), name
        assert re.fullmatch(r".{6,}。", advice.chinese), name
        assert re.search(r"[\u4e00-\u9fff]{4}", advice.chinese), name
        assert "://" not in advice.english + advice.chinese + advice.told, name


def test_what_the_app_has_not_opened_is_refused(bench: Bench) -> None:
    """Also too many at once, which may pass."""
    bench.simulator.opened = {"lite"}
    assert type(bench.fail()[1]) is VendorRefused
    bench.simulator.most_at_once = 1
    bench.simulator.play(SparkFault(silent_after=1))
    running = bench.spark.stream(bench.request(model="lite"))
    next(running)
    error = bench.fail(model="lite")[1]
    running.close()
    assert (type(error), error.retry_after_s) == (VendorOverloaded, 1)


def test_a_prompt_that_is_too_long_is_told_to_the_user(bench: Bench) -> None:
    """The user can do something about it."""
    with pytest.raises(VendorRefused, match="too long"):
        bench.ask(says("user", "晓 " * 10_000))


# Frames


@pytest.mark.parametrize(
    "fault",
    [
        SparkFault(fragment=1),
        SparkFault(fragment=7),
        SparkFault(fragment=7, split=1),
        SparkFault(binary=True),
        SparkFault(single=True),
        SparkFault(pings=2_000),
        SparkFault(comments_s=0.1),
        SparkFault(seq="repeat"),
        SparkFault(seq="none"),
        SparkFault(twice=True),
        SparkFault(usage="all"),
        SparkFault(usage="twice"),
        SparkFault(linger=True),
    ],
    ids=lambda fault: repr({name: getattr(fault, name) for name in ("fragment", "seq", "usage", "pings")}),
)
def test_frames_may_come_in_many_ways(bench: Bench, fault: SparkFault) -> None:
    """Text and count are those of the plain answer; the vendor is left as soon as it has ended."""
    pieces = bench.ask(fault=fault)
    call = bench.simulator.calls[-1]
    assert text_of(pieces) == "".join(answer_to(PROMPT))
    assert pieces[-1] == Stop("stop", Usage(call.prompt_tokens, call.sold))
    assert call.ended.wait(5)


@pytest.mark.parametrize(
    "fault",
    [
        SparkFault(seq="gap"),
        SparkFault(seq="back"),
        SparkFault(close_after=3),
        SparkFault(close_after=3, close_code=1000),
        SparkFault(unmasked=3),
        SparkFault(cut_after=3),
        SparkFault(reset_after=3),
        SparkFault(bad_json_after=3),
    ],
    ids=lambda fault: repr({name: getattr(fault, name) for name in ("seq", "close_after", "unmasked", "close_code")}),
)
def test_an_answer_with_a_part_missing_has_broken_off(bench: Bench, fault: SparkFault) -> None:
    """What had come before is kept; never is a hole passed over."""
    text, error = bench.fail(fault)
    assert (text, type(error)) == (THIRD, VendorOverloaded)
    assert bench.simulator.calls[-1].ended.wait(5)


def test_a_handshake_without_proof_is_refused(bench: Bench) -> None:
    """Whatever answered is no WebSocket."""
    assert type(bench.fail(SparkFault(accept=True))[1]) is VendorOverloaded


# The HTTP endpoint


@pytest.mark.parametrize("bench", [HTTP], indirect=True)
@pytest.mark.parametrize(
    "fault",
    [
        SparkFault(crlf=True, split=1),
        SparkFault(bom=True, no_blank=True),
        SparkFault(unchunked=True),
        SparkFault(comments_s=0.1),
        SparkFault(twice=True),
        SparkFault(usage="all"),
        SparkFault(plain=True),
    ],
    ids=range(7),
)
def test_over_http_the_same_answer_may_be_written_in_many_ways(bench: Bench, fault: SparkFault) -> None:
    """Text, reason and count are those of the plain answer."""
    pieces = bench.ask(fault=fault)
    call = bench.simulator.calls[-1]
    assert (text_of(pieces), pieces[-1]) == (
        "".join(answer_to(PROMPT)),
        Stop("stop", Usage(call.prompt_tokens, call.sold)),
    )


@pytest.mark.parametrize("bench", [HTTP], indirect=True)
def test_over_http_only_the_end_mark_ends_an_answer(bench: Bench) -> None:
    """There is no finish reason; a stream that stops without the mark has broken off."""
    text, error = bench.fail(SparkFault(no_done=True))
    assert (text, type(error)) == ("".join(answer_to(PROMPT)), VendorOverloaded)


@pytest.mark.parametrize("bench", [HTTP], indirect=True)
def test_a_wrong_password_is_told_to_the_owner(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """By its variable."""
    bench.simulator.key = "another"
    assert type(bench.fail()[1]) is VendorRefused
    assert PASSWORD.english in caplog.text
    assert KEY not in caplog.text


# Many at once


@both_ways
def test_two_hundred_answers_at_once_leave_others_their_turn(bench: Bench) -> None:
    """Every one exact, on one hub, while another greenlet goes on running."""
    turns = 0
    running = True

    def other() -> None:
        nonlocal turns
        while running:
            gevent.sleep(0)
            turns += 1

    def one(number: int) -> str:
        bench.simulator.play(SparkFault(rate=500, pieces=20))
        return text_of(bench.ask(says("user", f"echo {number} 号"), user=f"user {number % 20}"))

    watcher = gevent.spawn(other)
    asked = [gevent.spawn(one, number) for number in range(200)]
    texts = [greenlet.get(timeout=30) for greenlet in asked]
    running = False
    watcher.join()
    assert texts == ["".join(answer_to(f"echo {number} 号", 20)) for number in range(200)]
    assert turns > 200
