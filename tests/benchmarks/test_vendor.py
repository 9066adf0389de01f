"""The simulated vendor sends what the script says, each piece by itself, and writes down when."""

from __future__ import annotations

import http.client
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import openai

from benchmarks.processes import free_port, running
from benchmarks.script import PIECES, Script
from benchmarks.sent import SentTimes
from benchmarks.vendor import delta, encode


def ask(port: int, stream: int) -> list[Any]:
    """The events of one answer, `[DONE]` as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": Script(stream, 0).prompt}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    blocks = connection.getresponse().read().decode().split("\n\n")
    connection.close()
    events = [block.removeprefix("data: ") for block in blocks if block]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def test_every_stream_gets_its_own_script_at_its_pace(tmp_path: Path) -> None:
    """Answers begin together, follow their scripts, end with usage, and their times rise."""
    port, count = free_port(), 120
    flags = f"--port {port} --streams 2 --rate 500 --pieces {count} --sent {tmp_path / 'sent'}".split()
    with running([sys.executable, "-m", "benchmarks.vendor", *flags], port=port, log=tmp_path / "log"):
        answers = [gevent.spawn(ask, port, stream) for stream in (0, 1)]
        gevent.joinall(answers, raise_error=True)

    sent = SentTimes(tmp_path / "sent", streams=2, pieces=count)
    for stream, answer in enumerate(greenlet.value for greenlet in answers):
        *chunks, usage, done = answer
        pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
        assert "".join(pieces) == Script(stream, count).text()
        assert len(chunks) == count + 2  # the role before, the finish reason after
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert usage["usage"]["completion_tokens"] == count
        assert done == "[DONE]"
        times = [sent.at(stream, position) for position in range(count)]
        assert times[0] > 0
        assert all(later >= earlier for earlier, later in pairwise(times))
    assert sent.sold(0, float("inf")) == 2 * count


def test_the_stock_sdk_reads_it(tmp_path: Path) -> None:
    """The shape is a real vendor's: OpenAI's own client takes it, with usage at the end."""
    port, script = free_port(), Script(0, 60)
    flags = f"--port {port} --streams 1 --rate 500 --pieces 60 --sent {tmp_path / 'sent'}".split()
    with running([sys.executable, "-m", "benchmarks.vendor", *flags], port=port, log=tmp_path / "log"):
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="x", max_retries=0)
        chunks = list(
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": script.prompt}], stream=True
            )
        )
        client.close()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == script.text()
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 60


def test_a_piece_is_as_large_as_vendors_make_it() -> None:
    """A frame that is too small would flatter every relay."""
    sizes = [len(delta({"content": piece})) for piece in PIECES]
    assert 200 <= min(sizes) <= max(sizes) <= 320
    assert encode("[DONE]") == b"e\r\ndata: [DONE]\n\n\r\n"


def test_scripts_of_neighbours_differ() -> None:
    """A piece that reaches a neighbour's viewer does not pass for the right one."""
    own, other = Script(3, 200).pieces(), Script(4, 200).pieces()
    assert sum(one != two for one, two in zip(own, other, strict=True)) >= 190
    assert Script.number_in(Script(314, 1).prompt) == 314
    assert Script(3, 200).ends()[-1] == len(Script(3, 200).text())
