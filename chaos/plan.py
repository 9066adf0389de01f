"""What one run does, and when: everything random is drawn here, from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

Sabotage = str
SABOTAGES: tuple[Sabotage, ...] = ("drop-entry", "swallow-entry")

_FIRST_S = 3.0
"""Nothing breaks before the turns run."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that is done to the server.

    Attributes:
        at_s: Seconds after the first turn.
        kind: `kill` (a worker), `redis` (a restart), `rolling` (a restart of all workers, one after the other).
        draw: 0 to 1: which of the workers there are then.
    """

    at_s: float
    kind: str
    draw: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        turns: How many are to be live at once.
        pollers: Devices beside them that hold short sessions by polling.
        kill_every_s: Seconds between two kills; 0 for none.
        models: Asked in turn.
        redis_down_s: How long Redis is away when it is restarted.
        redis_keeps: Whether Redis has a file to read after its restart; else it comes back empty.
        pieces: Fewest and most pieces of an answer, `rate` of them a second.
        pause_s: The demand: a viewer waits no longer after a kill.
    """

    seed: int = 7
    workers: int = 4
    turns: int = 200
    pollers: int = 4
    seconds: float = 60.0
    kill_every_s: float = 5.0
    redis_restarts: int = 1
    rolling: int = 2
    models: tuple[str, ...] = ("deepseek-chat",)
    redis_down_s: float = 2.0
    redis_keeps: bool = True
    pieces: tuple[int, int] = (60, 120)
    rate: float = 6.0
    pause_s: float = 6.0
    sabotage: Sabotage = ""

    def blows(self) -> list[Blow]:
        """What happens, in order. Restarts lie evenly in the time, and between kills."""
        rng = random.Random(f"blows {self.seed}")
        blows: list[Blow] = []
        if self.kill_every_s:
            count = int((self.seconds - _FIRST_S) / self.kill_every_s) + 1
            blows += [Blow(_FIRST_S + number * self.kill_every_s, "kill", rng.random()) for number in range(count)]
        others = ["rolling"] * self.rolling
        others[len(others) // 2 : len(others) // 2] = ["redis"] * self.redis_restarts
        for number, kind in enumerate(others, 1):
            at_s = self.seconds * number / (len(others) + 1)
            if self.kill_every_s:  # the middle between two kills
                steps = max(0, round((at_s - _FIRST_S) / self.kill_every_s - 0.5))
                at_s = _FIRST_S + (steps + 0.5) * self.kill_every_s
            blows.append(Blow(at_s, kind))
        return sorted((blow for blow in blows if blow.at_s < self.seconds), key=lambda blow: blow.at_s)

    def question(self, number: int) -> Question:
        """The question of that number: the same in every run with this seed."""
        rng = random.Random(f"question {self.seed} {number}")
        return Question(number, rng.randint(*self.pieces), self.rate, self.models[number % len(self.models)])


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. The simulated vendor answers with the question's own words and then a rhyme."""

    number: int
    pieces: int
    rate: float
    model: str

    @property
    def name(self) -> str:
        """The first word of the question and of its answer."""
        return f"chaos-{self.number:05d}"

    @property
    def text(self) -> str:
        return f"{self.name} [[fault pieces={self.pieces} rate={self.rate:g}]]"
