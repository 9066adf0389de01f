"""Two machines with one Redis, each asked for the sessions of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from config import ConfigError
from services.ids import new_id
from services.wire.redis_link import RedisLink
from sockets.serving.affinity import Siblings
from sockets.serving.machines import RELAYED, Machines, parsed_address
from tests.redis_server import redis_url  # noqa: F401
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import TEXT, RawWebSocket, Wire, ask
from tests.sockets.serving.test_affinity import POLL, joined, opened, request

Pair = tuple[Served, Served]


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisLink]:  # noqa: F811
    link = RedisLink(redis_url, new_id("x"))
    yield link
    link.close()


@pytest.fixture
def pair(serve: Callable[..., Served], tmp_path: Path, link: RedisLink) -> Pair:
    """The first holds the sessions, the second is asked."""
    served = []
    for name in ("here", "there"):
        siblings = Siblings(tmp_path / name, f"{name}:0")
        one = serve(siblings=siblings)
        one.worker._server.machines = Machines(link, siblings.machine, f"127.0.0.1:{one.address[1]}")
        served.append(one)
    return served[0], served[1]


def test_a_stray_poll_and_post_are_answered_by_the_other_machine(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    body = '42/echo,1["echo","' + "x" * 60_000 + '"]'
    answer = requests.post(f"{other.url}{POLL}&sid={sid}", body.encode(), timeout=10)
    assert (answer.text, answer.headers["Content-Type"]) == ("ok", "text/plain; charset=UTF-8")
    assert len(requests.get(f"{other.url}{POLL}&sid={sid}", timeout=10).text) > 60_000
    wait_until(lambda: home.worker.connections == other.worker.connections == 0)


def test_a_relayed_connection_serves_one_request(pair: Pair) -> None:
    """Else one that asks for sessions of both in turn would build a chain without end."""
    home, other = pair
    wire = Wire(other.address)
    assert ask(wire, request(joined(home), b'42/echo,1["echo",1]', "Connection: keep-alive")).body == b"ok"
    wire.wait_for_end()


def test_an_upgrade_goes_through_in_both_directions(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    websocket = RawWebSocket(other.address, query=f"EIO=4&transport=websocket&sid={sid}")
    websocket.send_text("2probe")
    assert websocket.read_text() == "3probe"
    websocket.send_text("5")
    for number in range(3):
        websocket.send_frame(TEXT, f'42/echo,{number}["echo",{number}]'.encode())
        assert websocket.read_text() == f"43/echo,{number}[{number}]"
    websocket.close()
    wait_until(lambda: home.worker.connections == other.worker.connections == 0)


def test_the_credential_is_asked_for_where_the_session_is(pair: Pair) -> None:
    home, other = pair
    url = f"{other.url}{POLL}&sid={opened(home, Authorization='Bearer a')}"
    assert requests.post(url, b"40/echo,", headers={"Authorization": "Bearer b"}, timeout=10).status_code == 403
    assert requests.post(url, b"40/echo,", headers={"Authorization": "Bearer a"}, timeout=10).text == "ok"


def test_a_machine_that_is_gone_or_unheard_of_has_no_sessions(pair: Pair) -> None:
    home, other = pair
    sid = joined(home)
    assert ask(Wire(other.address), request(sid, b"6", f"{RELAYED}: 1")).status == 400  # it came from a machine already
    home.worker.stop(grace_s=0.1)
    for one in (sid, "0123abcd-0.x", "nonsense-0.x"):
        answer = requests.get(f"{other.url}{POLL}&sid={one}", timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (400, 1)


@pytest.mark.parametrize("written", ["", "10.0.0.5", "host:", "host:99999", "http://host:1", "user@host:1", ":5000"])
def test_an_address_without_host_and_port_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^MACHINE_ADDRESS must be host:port"):
        parsed_address(written)


def test_addresses_may_be_names_or_of_either_kind() -> None:
    assert parsed_address("10.0.0.5:5000") == ("10.0.0.5", 5000)
    assert parsed_address("[::1]:5000") == ("::1", 5000)
    assert parsed_address("parley-0.parley:5000") == ("parley-0.parley", 5000)
