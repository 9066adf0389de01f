"""spark-mobile's two clients, as they read a stream: everything the model says reaches both, whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from services.events import Usage
from tests.compat.replies import REPLIES, ROOM, give
from tests.compat.test_spark_mobile import DIALOG, member
from tests.scripted import words
from tests.servers import Stand


def desktop(response: requests.Response) -> str:
    """PyQt: each read decoded on its own, parsed from the first brace to the last, kept when that fails."""
    text, buffer, spent = "", "", None
    for piece in response.iter_content(2048):
        buffer += piece.decode("utf-8")
        start, end = buffer.find("{"), buffer.rfind("}")
        if start == -1 or end == -1:
            continue
        try:
            frame = json.loads(buffer[start : end + 1])
        except json.JSONDecodeError:
            continue
        buffer = ""
        assert frame["header"]["code"] == 0
        text += "".join(part["content"] for part in frame["payload"]["choices"]["text"])
        if frame["header"]["status"] == 2:
            spent = {name: frame["payload"]["usage"]["text"][name]
                     for name in ("question_tokens", "prompt_tokens", "completion_tokens", "total_tokens")}  # fmt: skip
    assert buffer == "" and spent is not None
    return text


def mobile(response: requests.Response) -> str:
    """uni-app: the whole body, cut at each closing brace that another opening one or the end follows."""
    body = response.text
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)  # one valid value would have been made an object, and shown as nothing
    frames = re.findall(r"\{.*?\}(?=\{|$)", body)
    return "".join(
        part["content"]
        for frame in map(json.loads, frames)
        if "payload" in frame
        for part in frame["payload"]["choices"]["text"]
    )


@pytest.mark.parametrize("read", [desktop, mobile], ids=["desktop", "mobile"])
def test_fifty_long_answers_are_read_whole(site_env: dict[str, str], read: Callable[[requests.Response], str]) -> None:
    stand = Stand({**site_env, **ROOM})
    said, pair = give(stand), member(stand.site.client())
    address = stand.site.open()
    with requests.Session() as session:
        for number in range(REPLIES):
            question = f"question {number}"
            asked = {**pair, "dialog": [{"role": "user", "content": question}]}
            answer = session.post(f"{address}/textModel/stream", json=asked, stream=True, timeout=30)
            assert answer.status_code == 200 and "Content-Length" not in answer.headers
            assert read(answer) == said[question]
    stand.audit()
    stand.site.close()


def test_every_chunk_is_one_small_ascii_frame(stand: Stand) -> None:
    stand.provider.script = words("好😀{}" * 5_000, usage=Usage(1, 1))
    pair = member(stand.site.client())
    answer = requests.post(
        f"{stand.site.open()}/textModel/stream", json={**pair, "dialog": DIALOG}, stream=True, timeout=30
    )
    chunks: list[Any] = list(answer.raw.read_chunked(decode_content=False))
    assert len(chunks) > 100
    assert max(map(len, chunks)) <= 1_024
    assert all(chunk.isascii() and json.loads(chunk)["header"]["code"] == 0 for chunk in chunks)
