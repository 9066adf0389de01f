"""Two servers are one to whoever uses them: limits, locks and sign-outs hold on both, and notes reach both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from services.accounts.throttle import ACCOUNT
from tests.processes import ServerProcess
from tests.redis_server import RedisProcess, own_redis  # noqa: F401
from tests.services.pictures.samples import picture
from tests.viewers import Device

PASSWORD = "correct horse battery"
SLOW = "pieces=2400 rate=40 size=6"


@pytest.fixture
def servers(
    tmp_path: Path,
    migrated_mariadb_url: str,
    own_redis: RedisProcess,  # noqa: F811
) -> Iterator[list[ServerProcess]]:
    env = {
        "DATABASE_URL": migrated_mariadb_url,
        "REDIS_URL": own_redis.url,
        "BENCHMARK_MODELS": "1",
        "MAX_RUNNING_TURNS": "6",
        "DRAIN_S": "0",
    }
    servers = [ServerProcess(tmp_path / "data", **env) for _ in range(2)]
    gevent.joinall([gevent.spawn(server.start) for server in servers], raise_error=True)
    yield servers
    gevent.joinall([gevent.spawn(server.stop) for server in servers])


def post(server: ServerProcess, path: str, token: str = "", **body: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"{server.address}/v1{path}", json=body, headers=headers, timeout=30)


def me(server: ServerProcess, token: str) -> int:
    return requests.get(
        f"{server.address}/v1/auth/me", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).status_code


def until(holds: Callable[[], bool]) -> None:
    with gevent.Timeout(30, AssertionError("It never became true.")):
        while not holds():
            gevent.sleep(0.02)


def test_what_one_server_counted_the_other_knows(servers: list[ServerProcess]) -> None:
    """Running turns of one user, guesses at one password, a sign-out."""
    first = Device(servers[0].address).connect()
    devices = [first, Device(servers[1].address, token=first.token).connect()]
    answers: list[dict[str, Any]] = []

    def ask(number: int) -> None:
        question = {"client_id": f"c-{number}", "text": SLOW, "model": "benchmark"}
        answers.append(devices[number % 2].call("turn_start", question))

    gevent.joinall([gevent.spawn(ask, number) for number in range(20)], timeout=60, raise_error=True)
    refused = [answer["error"]["code"] for answer in answers if not answer["ok"]]
    assert refused == ["rate_limited"] * 14
    running = [answer["turn"] for answer in answers if answer["ok"]]
    assert devices[0].call("turn_stop", {"turn": running[0]})["ok"]
    until(lambda: bool(devices[1].call("turn_start", {"client_id": "one more", "text": "hi"})["ok"]))

    name = f"Ann {first.welcome['user']['id'][-6:]}"
    token = post(servers[0], "/auth/register", username=name, password=PASSWORD).json()["token"]
    assert [me(server, token) for server in servers] == [200, 200]
    assert post(servers[0], "/auth/logout", token).ok
    until(lambda: me(servers[1], token) == 401)

    codes = [
        post(servers[number % 2], "/auth/login", username=name, password=f"guess {number}").status_code
        for number in range(ACCOUNT.free + 3)
    ]
    assert codes == [401] * (ACCOUNT.free + 1) + [429] * 2


def test_an_upload_goes_on_on_the_other_server(servers: list[ServerProcess]) -> None:
    """After a lost line the rest of it goes wherever the client comes to, and the picture is everywhere."""
    data = picture("PNG")
    first = Device(servers[0].address, namespace="/picture").connect()
    announced = {"client_id": "u", "bytes": len(data), "type": "image/png"}
    begun = first.call("picture_upload", announced)
    assert first.call("picture_part", {"upload": begun["upload"], "at": 0, "data": data[:60]})["next"] == 60
    first.leave()
    second = Device(servers[1].address, token=first.token, namespace="/picture").connect()
    again = second.call("picture_upload", announced)
    assert (again["upload"], again["next"]) == (begun["upload"], 60)
    kept = second.call("picture_part", {"upload": begun["upload"], "at": 60, "data": data[60:]})["picture"]
    for server in servers:
        headers = {"Authorization": f"Bearer {first.token}"}
        assert requests.get(f"{server.address}{kept['url']}", headers=headers, timeout=30).status_code == 200


def test_notes_pass_a_hanging_redis_and_no_forged_one_passes(
    servers: list[ServerProcess],
    own_redis: RedisProcess,  # noqa: F811
) -> None:
    """Devices of the same server hear at once; those of the other when Redis is back."""
    here = Device(servers[0].address).connect()
    near = Device(servers[0].address, token=here.token).connect()
    far = Device(servers[1].address, token=here.token).connect()
    here.ask("c-1", "hi")
    until(lambda: len(far.notes) >= 2)

    own_redis.pause()
    conversation = requests.post(
        f"{servers[0].address}/v1/conversations",
        json={"title": "while it hung"},
        headers={"Authorization": f"Bearer {here.token}"},
        timeout=30,
    ).json()
    changed = conversation["id"]
    until(lambda: changed in [payload.get("conversation") for _, payload in near.notes])
    assert changed not in [payload.get("conversation") for _, payload in far.notes]
    own_redis.resume()
    until(lambda: changed in [payload.get("conversation") for _, payload in far.notes])

    (key,) = own_redis.ask("KEYS", "*bulletin")
    user = here.welcome["user"]["id"]
    told = len(far.notes)
    for forged in (
        f'{{"user": "{user}", "event": "turn_end", "payload": {{"turn": "t_1"}}}}',
        f'{{"user": "{user}", "event": "quota_changed", "payload": {{"tokens": "many", "pictures": 1}}}}',
        f'{{"user": "{user}", "event": "conversation_changed", "payload": {{"conversation": "c"}}}}',
        '{"user": ["/text"], "event": "quota_changed", "payload": {"tokens": 1, "pictures": 1}}',
    ):
        own_redis.ask("XADD", key, "*", "from", "w_x", "topic", "note", "said", forged)
    own_redis.ask(
        "PUBLISH",
        "parley",
        f'{{"method": "emit", "event": "x", "data": [1], "namespace": "/text", "room": "user:{user}"}}',
    )
    true = f'{{"user": "{user}", "event": "quota_changed", "payload": {{"tokens": 7, "pictures": 1}}}}'
    own_redis.ask("XADD", key, "*", "from", "w_x", "topic", "note", "said", true)
    until(lambda: len(far.notes) > told)
    assert far.notes[told:] == [("quota_changed", {"tokens": 7, "pictures": 1})]
