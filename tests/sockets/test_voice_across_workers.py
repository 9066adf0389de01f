"""A speaker whose line is cut comes back to another worker, which goes on at the byte where the first one stopped."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
import redis

from services.ids import new_id
from tests.processes import ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.servers import Stand
from tests.speakers import FRAME, Speaker

SOUND = random.Random(3).randbytes(FRAME * 60)
HALF = FRAME * 31


@pytest.fixture
def stands(tmp_path: Path, migrated_mariadb_url: str, redis_url: str) -> Iterator[tuple[Stand, Stand]]:  # noqa: F811
    env = {
        "DATABASE_URL": migrated_mariadb_url,
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": new_id("x"),
        "LEASE_S": "1",
        "PORT": "5000",
    }
    pair = Stand({**env, "DATA_DIR": str(tmp_path / "one")}), Stand({**env, "DATA_DIR": str(tmp_path / "other")})
    yield pair
    for stand in pair:
        stand.site.close()


def half_said(address: str, **fields: str) -> tuple[Speaker, str]:
    """A speaker who was cut off in mid-utterance."""
    speaker = Speaker(address).connect()
    turn = speaker.start("c-1", **fields)["turn"]
    for at in range(0, HALF, FRAME):
        speaker.send(turn, at, SOUND[at : at + FRAME])
    speaker.wait_for(lambda: [ack for ack in speaker.of("voice_ack", turn) if ack["next"] == HALF])
    speaker.client.disconnect()
    return speaker, turn


def test_an_utterance_moves_to_the_worker_its_speaker_comes_to(stands: tuple[Stand, Stand]) -> None:
    """Every byte is heard once, the captions of both parts are one transcript, and a listener sees them all."""
    one, other = stands
    first, other_address = one.site.open(), other.site.open()
    speaker, turn = half_said(first)
    listener = Speaker(first, token=speaker.token).connect()
    assert listener.call("turn_attach", {"turn": turn})["ok"]
    again = Speaker(other_address, token=speaker.token).connect()
    answer = again.start("c-1")
    assert (answer["turn"], answer["next"]) == (turn, HALF)
    again.say(turn, SOUND, start=HALF)
    end = again.end_of(turn)
    assert (end["status"], end["bytes"], end["epoch"]) == ("done", len(SOUND), 2)
    assert bytes(one.ear.heard[0] + other.ear.heard[0]) == SOUND
    assert listener.end_of(turn) == end
    assert listener.transcript(turn) == again.transcript(turn)
    finals = listener.of("voice_final", turn)
    assert finals[0]["start_ms"] == 0
    assert all(one["end_ms"] <= next_one["start_ms"] for one, next_one in itertools.pairwise(finals))


def test_an_utterance_of_a_worker_that_died_waits_for_its_speaker(
    tmp_path: Path,
    migrated_mariadb_url: str,
    redis_url: str,  # noqa: F811
) -> None:
    """It is nobody else's, and goes on at the last byte that the dead worker told."""
    prefix = new_id("x")
    env = {"DATABASE_URL": migrated_mariadb_url, "REDIS_URL": redis_url, "REDIS_PREFIX": prefix, "LEASE_S": "1"}
    servers = [ServerProcess(tmp_path / name, **env, BENCHMARK_MODELS="1").start() for name in ("one", "other")]
    try:
        speaker, turn = half_said(servers[0].address, model="discard")
        with redis.Redis.from_url(redis_url) as client, gevent.Timeout(20):
            while b'"next":%d,' % HALF not in (client.hget(f"{prefix}:{{p0}}:turn:{turn}:facts", "order") or b""):
                gevent.sleep(0.05)
        servers[0].kill()
        again = Speaker(servers[1].address, token=speaker.token).connect()
        answer = again.start("c-1", model="discard")
        assert (answer["turn"], answer["next"]) == (turn, HALF)
        again.say(turn, SOUND, start=HALF)
        end = again.end_of(turn)
        assert (end["status"], end["bytes"], end["epoch"]) == ("done", len(SOUND), 2)
    finally:
        for server in servers:
            server.stop()
