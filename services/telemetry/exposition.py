"""The metrics of several workers as one text for Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def merged(reports: Mapping[str, bytes]) -> bytes:
    """Every sample of every worker, told apart by the label `worker`; what each metric is, is told once.

    Args:
        reports: By worker, in the text format, version 0.0.4, as `Metrics.exposition` writes it.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, report in reports.items():
        family = ""
        for line in report.decode().splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                heads.setdefault(family, []).clear()
            if line.startswith("#"):
                heads[family].append(line)
            else:
                samples.setdefault(family, []).append(_labelled(line, worker))
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(sample: str, worker: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
