"""The vendors as one process: `python -m chaos.vendor PORT LOG`. What each call was sold is a line of the log."""

# ruff: noqa: E402 - the standard library must be patched before anything imports it
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import signal
import sys
import time
from pathlib import Path

import gevent
import orjson
from gevent.event import Event

from simulators.loopback import Exchange
from simulators.openai import OpenAISimulator
from simulators.openai_answer import question_of, text_of


class LoggingVendor(OpenAISimulator):
    """OpenAI's and DeepSeek's shapes; only DeepSeek goes on from a prefix."""

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(port=port)
        self._log = log.open("ab")

    def answer(self, exchange: Exchange) -> None:
        call = exchange.call
        began, finished = time.time(), False
        try:
            super().answer(exchange)
            finished = not call.hung_up.is_set()
        finally:
            if call.json:
                last = call.json["messages"][-1]
                line = {
                    "question": question_of(call),
                    "prefix": text_of(last) if last.get("prefix") else "",
                    "prompt_tokens": call.prompt_tokens,
                    "sold": call.sold,
                    "finished": finished,
                    "began": began,
                    "ended": time.time(),
                }
                self._log.write(orjson.dumps(line) + b"\n")
                self._log.flush()
            self.calls.remove(call)  # a long run keeps none


def main() -> None:
    with LoggingVendor(int(sys.argv[1]), Path(sys.argv[2])):
        done = Event()
        gevent.signal_handler(signal.SIGTERM, done.set)
        done.wait()


if __name__ == "__main__":
    main()
