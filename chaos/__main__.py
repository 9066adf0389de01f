"""`python -m chaos`: see chaos/README.md."""

# ruff: noqa: E402 - the standard library must be patched before anything imports it
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import PeerFailed, raise_descriptor_limit
from chaos.checks import figures, promises, table
from chaos.conductor import Conductor
from chaos.plan import SABOTAGES, Plan
from chaos.timeline import draw

QUICK = Plan(workers=2, turns=12, seconds=12, kill_every_s=6, redis_restarts=0, rolling=0, pieces=(20, 50), rate=8)


def main(arguments: list[str]) -> int:
    """0 when every promise was kept, 1 when one was broken, 2 when it could not be tried."""
    options = _parser().parse_args(arguments)
    plan = _plan(options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    raise_descriptor_limit()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="parley-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        story = Conductor(plan, folder, options.database_url).run()
    except PeerFailed as fault:
        print(fault, file=sys.stderr)
        return 2
    rows = promises(story.run)
    print(table(rows, figures(story.run)))
    (folder / "table.txt").write_text(table(rows, figures(story.run), shown=10_000))
    picture = folder / "timeline.png"
    draw(story, picture)
    broken = sum(not row.kept for row in rows)
    verdict = f"{broken} of {len(rows)} promises BROKEN" if broken else f"all {len(rows)} promises kept"
    print(f"\n{verdict}; seed {plan.seed}, {time.monotonic() - began:.0f} s\ntimeline: {picture}\nlogs: {folder}")
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="See chaos/README.md.")
    parser.add_argument("--quick", action="store_true", help="small figures for whatever is not given")
    parser.add_argument("--seed", type=int, help="draws workers, questions and waits (7)")
    parser.add_argument("--workers", type=int, help="worker processes (4)")
    parser.add_argument("--turns", type=int, help="turns live at once, with two viewers each (200)")
    parser.add_argument("--pollers", type=int, help="devices beside them that poll (4)")
    parser.add_argument("--seconds", type=float, help="how long new turns are begun (60)")
    parser.add_argument("--kill-every", type=float, dest="kill_every_s", help="seconds between two kills; 0: none (5)")
    parser.add_argument("--redis-restart", type=int, dest="redis_restarts", help="restarts of Redis (1)")
    parser.add_argument("--redis-down", type=float, dest="redis_down_s", help="seconds Redis is away each time (2)")
    parser.add_argument("--redis-empty", action="store_true", help="Redis has forgotten everything when it comes back")
    parser.add_argument("--rolling", type=int, help="rolling restarts (2)")
    parser.add_argument(
        "--models",
        type=lambda text: tuple(text.split(",")),
        help="asked in turn (deepseek-chat); gpt-4o-mini cannot continue",
    )
    parser.add_argument("--pieces", type=_range, help="fewest-most pieces of an answer (60-120)")
    parser.add_argument("--rate", type=float, help="pieces a second of each answer (6)")
    parser.add_argument(
        "--pause", type=float, dest="pause_s", help="longest wait after a kill that is allowed, in seconds (6)"
    )
    parser.add_argument("--sabotage", choices=SABOTAGES, help="break something that the checks must find")
    parser.add_argument("--database-url", default="", help="an empty database, in place of a MariaDB of its own")
    parser.add_argument("--folder", help="where logs and the timeline go; a new one in the temporary folder")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    given = {
        name: getattr(options, name) for name in Plan.__dataclass_fields__ if getattr(options, name, None) is not None
    }
    return replace(plan, redis_keeps=not options.redis_empty, **given)


def _range(text: str) -> tuple[int, int]:
    fewest, _, most = text.partition("-")
    return int(fewest), int(most or fewest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
