"""A worker stays small: who reads pictures and listens are processes of their own."""

from __future__ import annotations

import io
import subprocess
import wave
from pathlib import Path

from tests.processes import ServerProcess
from tests.services.ocr.pages import LINES, page
from tests.speakers import Speaker
from tests.viewers import Device

MOST_MB = 150


def test_a_worker_that_has_read_and_listened_is_under_150_mb(tmp_path: Path) -> None:
    """With the real local engines, after a page of Chinese and English, an utterance and an answer."""
    picture = io.BytesIO()
    page(*LINES).save(picture, "PNG")
    subprocess.run(["espeak-ng", "-w", tmp_path / "said.wav", "Voices come and voices go."], check=True)
    subprocess.run(
        ["sox", tmp_path / "said.wav", "-r", "16000", "-b", "16", "-c", "1", tmp_path / "16k.wav"], check=True
    )
    with wave.open(str(tmp_path / "16k.wav")) as file:
        sound = file.readframes(file.getnframes())
    server = ServerProcess(tmp_path / "data").start()
    try:
        reader = Device(server.address, namespace="/picture").connect()
        asked = {"client_id": "p-1", "task": "ocr", "picture": picture.getvalue()}
        read = reader.call("picture_read", asked)
        assert reader.seen(read["turn"]).whole()["status"] == "done"
        speaker = Speaker(server.address).connect()
        turn = speaker.start("v-1", language="en")["turn"]
        speaker.say(turn, sound)
        assert speaker.end_of(turn)["status"] == "done"
        talker = Device(server.address).connect()
        assert talker.seen(talker.ask("t-1", "a table please")["turn"]).whole()["status"] == "done"
        status = Path(f"/proc/{server.pid}/status").read_text()
        resident_kb = int(status.split("VmRSS:")[1].split()[0])
        assert resident_kb < MOST_MB * 1024, f"{resident_kb // 1024} MB"
    finally:
        server.stop()
