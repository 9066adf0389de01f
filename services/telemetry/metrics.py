"""What Prometheus is told: turns, first pieces, the relay's own delay, standstills, viewers, errors."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SAMPLED_PIECES = 64
"""One piece in so many has its way through the relay timed."""


class Metrics:
    """The counters of this process. Each has a registry of its own, so that tests and workers do not share."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: What who asks is told: this process's own, or with several workers those of all of them.
        self.told: Callable[[], bytes] = self.exposition
        self.turns = Counter(
            "parley_turns", "Turns that ended, by ending.", ["status", "reason"], registry=self.registry
        )
        self.first_piece = Histogram(
            "parley_first_piece_seconds",
            "From the start of a turn to its first piece.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.relay_delay = Histogram(
            "parley_relay_delay_seconds",
            "From a piece's arrival to its write to a viewer, the viewer's window included.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
            registry=self.registry,
        )
        self.hub_blocked = Histogram(
            "parley_hub_blocked_seconds",
            "Times in which one piece of code kept every other from running.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.errors = Counter("parley_errors", "Refusals told to clients, by code.", ["code"], registry=self.registry)
        self.requests = Counter("parley_http_requests", "HTTP requests, by status.", ["status"], registry=self.registry)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A value read when it is asked for."""
        Gauge(name, help, registry=self.registry).set_function(read)

    def exposition(self) -> bytes:
        """The text Prometheus reads."""
        return generate_latest(self.registry)
