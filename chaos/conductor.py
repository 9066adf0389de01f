"""One run: the parts, the devices, the blows, and what comes of it."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import gevent.pool

from benchmarks.processes import PeerFailed, cost, machine_cpu_s
from chaos import stored
from chaos.checks import Run
from chaos.line import Line, LineLost, Refused
from chaos.pair import Pair, Watched, numbered
from chaos.parts import MariaDB, Redis, Server, Vendors
from chaos.pauses import Struck, pauses
from chaos.plan import Blow, Plan
from chaos.poller import Polled, Poller
from chaos.sabotage import SPOILERS
from chaos.viewer import Tally
from chaos.whereabouts import Whereabouts

log = logging.getLogger("chaos")

JOINING = 8
"""Pairs that connect at once."""
UNTIL_UP_S = 60.0
UNTIL_WHOLE_S = 90.0
"""How long a rolling restart may take."""
UNTIL_OVER_S = 150.0
"""How long the last turns are waited for."""


@dataclass(slots=True)
class Sample:
    """The state at one moment."""

    at: float
    live: int
    connected: int
    workers: int


@dataclass(slots=True)
class Story:
    """A run as it was, for the picture; times are monotonic.

    Attributes:
        began: When the first turn was asked.
    """

    began: float
    run: Run
    samples: list[Sample] = field(default_factory=list)


class Spent:
    """Processor time since it was made: this run's and that of everything else on the machine."""

    def __init__(self) -> None:
        self._at, self._ours, self._all = self._now()

    def told(self) -> str:
        at, ours, everybody = self._now()
        lasted_s, cores = at - self._at, os.cpu_count() or 1
        mine = (ours - self._ours) / lasted_s
        others = max(0.0, (everybody - self._all) / lasted_s - mine)
        return f"{mine:.2f} of {cores} cores used by this run, {others:.2f} by others"

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), cost(os.getpid()).cpu_s, machine_cpu_s()


class Conductor:
    """Owns everything it starts and ends it all."""

    def __init__(self, plan: Plan, folder: Path, database_url: str) -> None:
        self._plan = plan
        self._folder = folder
        self._given_database = database_url
        self._tally = Tally()
        self._polled = Polled()
        self._watched: list[Watched] = []
        self._struck: list[Struck] = []
        self._samples: list[Sample] = []

    def run(self) -> Story:
        """The whole of it; minutes."""
        plan = self._plan
        with self._parts() as (database_url, redis, vendors, server):
            where = Whereabouts(database_url)
            pairs = [Pair(number, ("127.0.0.1", server.port), plan, self._tally) for number in range(plan.turns)]
            if plan.sabotage in SPOILERS:
                pairs[0].viewers[1].spoiler = SPOILERS[plan.sabotage]()
            self._await_all_workers(server.port)
            gevent.pool.Pool(JOINING).map(Pair.join, pairs)
            log.info("%d devices are connected", sum(viewer.is_connected for p in pairs for viewer in p.viewers))
            began, spent = time.monotonic(), Spent()
            ends_at = began + plan.seconds
            questions = numbered(plan)
            asking = [
                gevent.spawn(pair.run, questions, self._watched, lambda: time.monotonic() < ends_at) for pair in pairs
            ]
            sampling = gevent.spawn(self._sample, server, pairs)
            polling = [gevent.spawn(poller.run) for poller in self._pollers(server.port)]
            restarts = self._strike(began, redis, server, where)
            gevent.joinall(asking, timeout=max(0.0, ends_at - time.monotonic()) + UNTIL_OVER_S)
            gevent.joinall(restarts, timeout=UNTIL_WHOLE_S)
            over = time.monotonic()
            sampling.kill()
            processor = spent.told()
            gevent.killall(polling)
            for pair in pairs:
                pair.leave()
            log.info("the devices have left; the server is told to stop")
            exit_code = server.stop()
            vendors.stop()
            where.close()
            books = [book for watched in self._watched for book in watched.books]
            run = Run(
                plan=plan,
                watched=self._watched,
                stored=stored.read(database_url),
                calls=stored.calls(vendors.calls),
                tally=self._tally,
                polled=self._polled,
                blows=self._struck,
                pauses=pauses(self._struck, books, over),
                exit_code=exit_code,
                processor=processor,
            )
        return Story(began, run, self._samples)

    def _pollers(self, port: int) -> Iterator[Poller]:
        for number in range(self._plan.pollers):
            yield Poller("127.0.0.1", port, self._polled, random.Random(f"poller {self._plan.seed} {number}"))

    def _await_all_workers(self, port: int) -> None:
        """Connect until every worker has answered: the first one that is ready says that all is."""
        limit = time.monotonic() + UNTIL_UP_S
        met: set[str] = set()
        while len(met) < self._plan.workers:
            if time.monotonic() > limit:
                raise PeerFailed(f"only {len(met)} workers of {self._plan.workers} take connections")
            try:
                line = Line("127.0.0.1", port, None)
            except (LineLost, Refused):
                gevent.sleep(0.2)
            else:
                met.add(line.worker if self._plan.workers > 1 else "the only one")
                line.close()

    @contextmanager
    def _parts(self) -> Iterator[tuple[str, Redis, Vendors, Server]]:
        redis, vendors = Redis(self._folder, keeps=self._plan.redis_keeps), Vendors(self._folder)
        database = None if self._given_database else MariaDB(self._folder)
        database_url = self._given_database or (database.url if database else "")
        env = {**vendors.env, "DATABASE_URL": database_url, "REDIS_URL": redis.url}
        server = Server(self._folder, workers=self._plan.workers, env=env)
        parts = [part for part in (redis, database, vendors, server) if part is not None]
        try:
            for part in parts:
                log.info("starting %s", part.name)
                part.up()
            yield database_url, redis, vendors, server
        finally:
            for part in reversed(parts):
                if part.runs:
                    part.stop()
            for data in ("redis", "mariadb"):
                shutil.rmtree(self._folder / data, ignore_errors=True)

    def _strike(self, began: float, redis: Redis, server: Server, where: Whereabouts) -> list[gevent.Greenlet]:
        """Do what the plan says, each at its time; gives the restarts that may still be under way."""
        restarts = []
        for blow in self._plan.blows():
            gevent.sleep(max(0.0, began + blow.at_s - time.monotonic()))
            match blow.kind:
                case "kill":
                    self._kill(blow, server, where)
                case "redis":
                    restarts.append(gevent.spawn(self._restart_redis, redis))
                case "rolling":
                    restarts.append(gevent.spawn(self._roll, server))
        return restarts

    def _kill(self, blow: Blow, server: Server, where: Whereabouts) -> None:
        workers = server.workers()
        pid = workers[int(blow.draw * len(workers))]
        owner = where.owner_of(pid)
        turns = where.orphaned(owner)
        struck = Struck("kill", time.monotonic(), f"worker {pid}", turns)
        os.kill(pid, signal.SIGKILL)
        self._struck.append(struck)
        log.info("killed worker %d of %d, which ran %d turns", pid, len(workers), len(turns))

    def _restart_redis(self, redis: Redis) -> None:
        struck = Struck("redis", time.monotonic(), "Redis")
        self._struck.append(struck)
        redis.stop()
        gevent.sleep(self._plan.redis_down_s)
        redis.up()
        struck.over = time.monotonic()
        log.info("Redis was away for %.1f s", struck.over - struck.at)

    def _roll(self, server: Server) -> None:
        """Have all workers replaced, and wait until none of the old ones is left."""
        struck = Struck("rolling", time.monotonic(), "all workers")
        self._struck.append(struck)
        old = set(server.workers())
        server.reload()
        limit = time.monotonic() + UNTIL_WHOLE_S
        while old & set(server.workers()) or len(server.workers()) < self._plan.workers:
            if time.monotonic() > limit:
                self._tally.faults.append(f"a rolling restart was not over after {UNTIL_WHOLE_S:g} s")
                return
            gevent.sleep(0.1)
        struck.over = time.monotonic()
        log.info("all workers were replaced in %.1f s", struck.over - struck.at)

    def _sample(self, server: Server, pairs: list[Pair]) -> None:
        while True:
            live = sum(1 for watched in self._watched if watched.turn and watched.ended is None)
            connected = sum(viewer.is_connected for pair in pairs for viewer in pair.viewers)
            self._samples.append(Sample(time.monotonic(), live, connected, len(server.workers())))
            gevent.sleep(0.25)
