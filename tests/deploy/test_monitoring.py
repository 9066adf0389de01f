"""The dashboard and the alarms ask for what `/metrics` tells, and the alarms sound when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from services.errors import BY_CODE
from services.telemetry.exposition import merged
from tests.deploy.proxies import DEPLOY
from tests.owned import program
from tests.redis_server import redis_url  # noqa: F401
from tests.servers import Stand, site_env  # noqa: F401

HERE = Path(__file__).parent
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
_METRIC = re.compile(r"\bparley_\w+")
_SUFFIX = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture
def told(site_env: dict[str, str], redis_url: str) -> Iterator[str]:  # noqa: F811
    """By a server with Redis."""
    stand = Stand({**site_env, "REDIS_URL": redis_url, "REDIS_PREFIX": "monitored"})
    yield stand.services.metrics.exposition().decode()
    stand.site.close()


@pytest.fixture
def exposed(told: str) -> set[str]:
    """The names of all samples there can be."""
    return {
        f"{family.name}{suffix}" for family in text_string_to_metric_families(told) for suffix in _SUFFIX[family.type]
    }


def test_every_metric_asked_for_is_told(exposed: set[str]) -> None:
    """A renamed one would leave a panel empty, and an alarm silent, without a word."""
    asked = set(_METRIC.findall(" ".join(_expressions()) + ALERTS.read_text("utf-8")))
    assert len(asked) > 20
    assert asked - exposed == set()


def test_prometheus_reads_what_one_and_what_several_workers_tell(told: str) -> None:
    """Without a word of complaint, also about names and units."""
    for text in (told.encode(), merged({"m-0": told.encode(), "m-1": told.encode()})):
        tried = subprocess.run(
            [program("promtool", "prometheus"), "check", "metrics"], input=text, capture_output=True, timeout=60
        )
        assert (tried.returncode, tried.stdout + tried.stderr) == (0, b"")


def test_alarms_sound_when_they_should() -> None:
    """Prometheus itself tries them: on a quiet server, an idle one, and one where everything is wrong."""
    tried = subprocess.run(
        [program("promtool", "prometheus"), "test", "rules", str(HERE / "alerts_test.yaml")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_error_codes_watched_exist() -> None:
    """Those of `code=` in an alarm."""
    for codes in re.findall(r'code=~?"([^"]+)"', ALERTS.read_text()):
        assert set(codes.split("|")) <= set(BY_CODE)


def test_prometheus_reads_the_dashboards_questions(tmp_path: Path) -> None:
    """As rules, with Grafana's variables filled in."""
    questions = [question.replace("$__rate_interval", "5m").replace("$instance", ".*") for question in _expressions()]
    rules = [{"record": f"panel:{number}", "expr": question} for number, question in enumerate(questions)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    for command in (
        ["check", "rules", str(file)],
        ["check", "config", "--syntax-only", str(DEPLOY / "prometheus" / "prometheus.yaml")],
    ):
        tried = subprocess.run(
            [program("promtool", "prometheus"), *command], capture_output=True, text=True, timeout=60
        )
        assert tried.returncode == 0, tried.stdout + tried.stderr


def test_panels_lie_beside_each_other() -> None:
    """Each with an id of its own."""
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_alarm_is_explained() -> None:
    """In the handbook: what it means, and what to do."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    handbook = (DEPLOY.parent / "docs" / "operations.md").read_text("utf-8")
    for rule in group["rules"]:
        assert f"| `{rule['alert']}` |" in handbook


def _dashboard() -> Any:
    return json.loads((DEPLOY / "grafana" / "parley.json").read_text("utf-8"))


def _expressions() -> list[str]:
    return [target["expr"] for panel in _dashboard()["panels"] for target in panel.get("targets", ())]
