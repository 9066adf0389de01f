"""The child of a `SideProcess`: reads jobs from its input, writes replies to its output, ends with its input.

A frame is two lengths (4 bytes each, big-endian), a head in JSON and bytes. A job is one frame; its replies are frames,
the last one `{"end": true}` or `{"fault": code, "message": ...}`.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import traceback
from typing import Any, BinaryIO

LENGTHS = struct.Struct(">II")
MAX_HEAD_BYTES = 16_000_000
NICENESS = 5
"""Below the server: who waits for a token comes before who waits for a picture."""


def main(module: str, memory_mb: int) -> None:
    """Serve jobs until the input ends."""
    _limit(memory_mb)
    jobs, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not come between the frames
    work = importlib.import_module(module).work
    from services.errors import ChatError

    while (job := _read(jobs)) is not None:
        try:
            for head, data in work(*job):
                _write(replies, head, data)
        except ChatError as error:
            _write(replies, {"fault": error.code, "message": error.message, "field": error.field})
        except MemoryError:
            _write(replies, {"fault": "memory"})
        except Exception:  # noqa: BLE001 - the top of the process; the server logs it
            _write(replies, {"fault": "internal", "message": traceback.format_exc(limit=-4)})
        else:
            _write(replies, {"end": True})


def _limit(memory_mb: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the limit is refused or not kept
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 1_048_576, memory_mb * 1_048_576))


def _read(jobs: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    lengths = jobs.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_length, data_length = LENGTHS.unpack(lengths)
    head, data = jobs.read(head_length), jobs.read(data_length)
    return (json.loads(head), data) if len(data) == data_length else None


def _write(replies: BinaryIO, head: dict[str, Any], data: bytes = b"") -> None:
    encoded = json.dumps(head).encode()
    replies.write(LENGTHS.pack(len(encoded), len(data)) + encoded)
    replies.write(data)
    replies.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
