"""`python -m benchmarks relay | streams | profile | idle | memory | voice`."""

from __future__ import annotations

import argparse
import sys

from benchmarks import hotspots, idle, memory, relay, streams, voice
from benchmarks.processes import PeerFailed

_COMMANDS = {
    "relay": relay,
    "streams": streams,
    "profile": hotspots,
    "idle": idle,
    "memory": memory,
    "voice": voice,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="See benchmarks/README.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in _COMMANDS.items():
        command = commands.add_parser(name, help=module.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args()
    try:
        status: int = options.run(options)
        return status
    except PeerFailed as fault:
        print(fault, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
