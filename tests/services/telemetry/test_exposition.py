from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from services.telemetry.exposition import merged
from services.telemetry.metrics import Metrics


def test_every_worker_is_told_apart_and_every_metric_described_once() -> None:
    """A worker of a newer version may have metrics that others lack; label values may hold anything."""
    one, two = Metrics(), Metrics()
    one.turns.labels("done", "stop").inc(2)
    two.turns.labels("done", "stop").inc(3)
    two.errors.labels('odd "code" {1} \\').inc()
    two.gauge("parley_new", "Only here.", lambda: 7)
    text = merged({"m-0": one.exposition(), "m-1": two.exposition()}).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert text.count("# TYPE parley_turns_total counter") == 1
    turns = {s.labels["worker"]: s.value for s in families["parley_turns"].samples if s.name == "parley_turns_total"}
    assert turns == {"m-0": 2.0, "m-1": 3.0}
    odd = [s.labels for s in families["parley_errors"].samples if s.name == "parley_errors_total"]
    assert odd == [{"worker": "m-1", "code": 'odd "code" {1} \\'}]
    assert [(s.labels, s.value) for s in families["parley_new"].samples] == [({"worker": "m-1"}, 7.0)]
    buckets = {s.labels["le"] for s in families["parley_first_piece_seconds"].samples if s.labels["worker"] == "m-0"
               and "le" in s.labels}  # fmt: skip
    assert "+Inf" in buckets


def test_one_report_keeps_all_its_samples() -> None:
    text = Metrics().exposition()
    assert len(merged({"m-0": text}).splitlines()) == len(text.splitlines())
