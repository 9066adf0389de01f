"""A picture of a run: turns, connections and pieces over time, with every blow and every long silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from chaos.conductor import Story

SCALE = 2  # drawn twice as large and halved: smooth lines
WIDTH, LEFT, RIGHT, TOP = 1400, 70, 20, 60
PANEL, GAP = 190, 46
INK, FAINT = "#222222", "#dddddd"
BLOWS = {"kill": "#c62828", "redis": "#6a1b9a", "rolling": "#1565c0"}
LINES = {"turns": "#2e7d32", "devices": "#8d6e63", "workers": "#455a64", "pieces": "#00695c"}
SILENCES = {
    "taken over": "#c62828", "line": "#ef6c00", "bystander": "#9e9e9e", "redis": "#6a1b9a", "rolling": "#1565c0"
}  # fmt: skip

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Panel:
    """A strip of the picture with a scale of its own."""

    top: int
    title: str
    most: float

    def y(self, value: float) -> float:
        return (self.top + PANEL - PANEL * min(value, self.most) / self.most) * SCALE


def draw(story: Story, path: Path) -> None:
    """Write the picture as PNG."""
    run = story.run
    samples = story.samples
    end_s = max([1.0, *(sample.at - story.began for sample in samples)])
    height = TOP + 4 * PANEL + 4 * GAP
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), "white")
    pen = _Pen(ImageDraw.Draw(image), story.began, end_s)
    pen.text(LEFT, 14, f"Chaos, seed {run.plan.seed}: {run.plan.workers} workers, {run.plan.turns} live turns", 18)

    panels = [TOP + number * (PANEL + GAP) for number in range(4)]
    live = [(sample.at, float(sample.live)) for sample in samples]
    devices = [(sample.at, float(sample.connected)) for sample in samples]
    workers = [(sample.at, float(sample.workers)) for sample in samples]
    pieces = _each_second(run.tally.pieces.items())
    silences = [pause for pause in run.pauses if pause.lasted_s >= 0.5]

    top = _Panel(panels[0], "live turns (green), connected devices (brown)", _most(live + devices))
    pen.panel(top)
    pen.line(top, live, LINES["turns"])
    pen.line(top, devices, LINES["devices"])
    second = _Panel(panels[1], "pieces seen a second, both viewers", _most(pieces))
    pen.panel(second)
    pen.line(second, pieces, LINES["pieces"])
    third = _Panel(
        panels[2],
        "silences, s: turn taken over (red), own line lost (orange), bystander (grey), Redis (violet), restart (blue)",
        max([run.plan.pause_s * 1.25, *(pause.lasted_s for pause in silences)]),
    )
    pen.panel(third)
    pen.line(third, [(story.began, run.plan.pause_s), (story.began + end_s, run.plan.pause_s)], FAINT)
    for pause in silences:
        pen.dot(third, pause.at, pause.lasted_s, SILENCES[pause.kind])
    fourth = _Panel(panels[3], "worker processes", _most(workers) + 1)
    pen.panel(fourth)
    pen.line(fourth, workers, LINES["workers"])
    for blow in run.blows:
        pen.blow(blow.at, blow.over, BLOWS[blow.kind], panels[0], panels[3] + PANEL)
    for number, (kind, colour) in enumerate(BLOWS.items()):
        pen.text(WIDTH - 300 + number * 90, 16, kind, 15, colour)
    image.resize((WIDTH, height), Image.Resampling.LANCZOS).save(path)


class _Pen:
    """Draws in seconds and values."""

    def __init__(self, target: ImageDraw.ImageDraw, began: float, end_s: float) -> None:
        self._target = target
        self._began = began
        self._end_s = end_s

    def x(self, at: float) -> float:
        return (LEFT + (WIDTH - LEFT - RIGHT) * (at - self._began) / self._end_s) * SCALE

    def panel(self, panel: _Panel) -> None:
        right = WIDTH - RIGHT
        for share in (0.0, 0.5, 1.0):
            value = panel.most * share
            y = panel.y(value)
            self._target.line([(LEFT * SCALE, y), (right * SCALE, y)], fill=FAINT, width=SCALE)
            self.text(8, y / SCALE - 8, f"{value:g}" if value >= 10 or value == int(value) else f"{value:.1f}", 12)
        step = next(step for step in (5, 10, 20, 60, 120, 600) if self._end_s / step <= 16 or step == 600)
        for second in range(0, int(self._end_s) + 1, step):
            self.text(self.x(self._began + second) / SCALE - 6, panel.top + PANEL + 3, f"{second} s", 11)
        self.text(LEFT, panel.top - 18, panel.title, 13)

    def line(self, panel: _Panel, points: Points, colour: str) -> None:
        if len(points) > 1:
            places = [(self.x(at), panel.y(value)) for at, value in points]
            self._target.line(places, fill=colour, width=2 * SCALE, joint="curve")

    def dot(self, panel: _Panel, at: float, value: float, colour: str) -> None:
        x, y, r = self.x(at), panel.y(value), 2 * SCALE
        self._target.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def blow(self, at: float, over: float | None, colour: str, top: int, bottom: int) -> None:
        """A line where it fell; a band at the top until it was over."""
        x = self.x(at)
        self._target.line([(x, top * SCALE), (x, bottom * SCALE)], fill=colour, width=SCALE)
        if over is not None:
            self._target.rectangle([x, (top - 4) * SCALE, self.x(over), top * SCALE], fill=colour)

    def text(self, x: float, y: float, text: str, size: int, colour: str = INK) -> None:
        self._target.text((x * SCALE, y * SCALE), text, fill=colour, font=ImageFont.load_default(size * SCALE))


def _most(points: Points) -> float:
    return max([1.0, *(value for _, value in points)])


def _each_second(counted: Iterable[tuple[int, int]]) -> Points:
    found = dict(counted)
    seconds = range(min(found), max(found) + 1) if found else range(0)
    return [(second + 0.5, float(found.get(second, 0))) for second in seconds]
