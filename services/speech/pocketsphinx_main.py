"""The child of `pocketsphinx_local`: PCM comes in frames, words go out as lines of JSON.

A frame is a length (4 bytes, big-endian) and so many bytes. The first frame of an utterance is `{"rate": ...}`, those
that follow are PCM, an empty one is its end. Sent are `{"partial": ...}`, `{"final": ..., "start_ms": ..., "end_ms":
...}` and `{"end": true}`. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

RATE = 16_000
FRAMES_BETWEEN_PARTIALS = 8  # of the endpointer's 30 ms: a hypothesis costs about as much as a frame
NICENESS = 5


def main() -> None:
    """Serve utterances until the input ends."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # who waits for a token comes before
    audio, words = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints must not come between the lines
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(RATE), loglevel="FATAL")
    nobody = decoder.get_cmn(False)
    while (head := _frame(audio)) is not None:
        rate = int(json.loads(head)["rate"])
        decoder.set_cmn(nobody)  # nothing is left of the speaker before
        for line in _transcribe(decoder, _samples(audio, rate)):
            words.write(json.dumps(line).encode() + b"\n")
            words.flush()


def _transcribe(decoder: Any, samples: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    from pocketsphinx import Endpointer

    endpointer = Endpointer(sample_rate=RATE)
    size = endpointer.frame_bytes
    rest, said, speaking, frames = b"", "", False, 0
    for piece in samples:
        rest += piece
        whole = len(rest) - len(rest) % size
        # One frame stays behind: the endpointer wants to know which is the last.
        for at in range(0, max(whole - size, 0), size):
            speech = endpointer.process(rest[at : at + size])
            if speech is None:
                continue
            if not speaking:
                decoder.start_utt()
                speaking, frames, said = True, 0, ""
            decoder.process_raw(speech, no_search=False, full_utt=False)
            frames += 1
            if not endpointer.in_speech:
                decoder.end_utt()
                speaking = False
                yield from _final(decoder, endpointer)
            elif frames % FRAMES_BETWEEN_PARTIALS == 0 and (now := _text(decoder)) not in ("", said):
                said = now
                yield {"partial": said}
        rest = rest[max(whole - size, 0) :]
    for at in range(0, max(len(rest) - size, 0), size):
        speech = endpointer.process(rest[at : at + size])
        if speech is not None and speaking:
            decoder.process_raw(speech, no_search=False, full_utt=False)
    last = rest[-(len(rest) % size) or -size :] if rest else b""
    speech = endpointer.end_stream(last) if last else None
    if speaking:
        if speech:
            decoder.process_raw(speech, no_search=False, full_utt=False)
        decoder.end_utt()
        yield from _final(decoder, endpointer)
    yield {"end": True}


def _final(decoder: Any, endpointer: Any) -> Iterator[dict[str, Any]]:
    if text := _text(decoder):
        start, end = endpointer.speech_start, endpointer.speech_end
        yield {"final": text, "start_ms": int(start * 1000), "end_ms": int(max(end, start) * 1000)}


def _text(decoder: Any) -> str:
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis is not None else ""


def _samples(audio: BinaryIO, rate: int) -> Iterator[bytes]:
    while piece := _frame(audio):
        yield piece if rate == RATE else _doubled(piece)


def _doubled(pcm: bytes) -> bytes:
    """8 kHz as 16: each sample, then the middle between it and the next."""
    samples = array("h", pcm)
    out = array("h", bytes(len(pcm) * 2))
    out[::2] = samples
    out[1::2] = array("h", [(a + b) // 2 for a, b in zip(samples, [*samples[1:], samples[-1]], strict=True)])
    return out.tobytes()


def _frame(audio: BinaryIO) -> bytes | None:
    """The next frame, b"" for the end of an utterance, None for the end of everything."""
    length = audio.read(4)
    if len(length) < 4:
        return None
    size = int.from_bytes(length, "big")
    data = audio.read(size)
    return data if len(data) == size else None


if __name__ == "__main__":
    main()
