"""The promises, each compared with what viewers saw, the database keeps and the vendor sold."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.pair import Watched
from chaos.pauses import Pause, Struck, percentile
from chaos.plan import Plan
from chaos.poller import Polled
from chaos.stored import Call, Stored, StoredTurn, our_count, our_prompt_count, whole_answer
from chaos.viewer import Tally

CONTINUES = ("deepseek-chat",)
LEAVING_S = 3.0
"""What a worker that was replaced may take to be gone."""
SHOWN = 3
"""Examples told of each broken promise."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the table. `broken` names every way in which it was not kept."""

    name: str
    found: str
    broken: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True)
class Run:
    """All there is to judge."""

    plan: Plan
    watched: Sequence[Watched]
    stored: Stored
    calls: Mapping[str, list[Call]]
    tally: Tally
    polled: Polled
    blows: Sequence[Struck]
    pauses: Sequence[Pause]
    exit_code: int
    processor: str

    def pairs(self) -> Iterator[tuple[Watched, StoredTurn | None]]:
        for watched in self.watched:
            yield watched, self.stored.turns.get(watched.question.name)


def promises(run: Run) -> list[Promise]:
    """The table, in the order of what matters most."""
    return [
        _texts(run),
        _offsets(run),
        _endings(run),
        _none_running(run),
        _answers(run),
        _whole(run),
        _books(run),
        _sold(run),
        _pauses(run),
        _sessions(run),
        _goodbye(run),
    ]


def figures(run: Run) -> list[tuple[str, str]]:
    """What is told beside the promises."""
    ways = Counter(_way(run.calls.get(watched.question.name, [])) for watched in run.watched)
    endings = Counter(stored.status for _, stored in run.pairs() if stored is not None)
    books = [book for watched in run.watched for book in watched.books]
    rows = [
        ("turns", f"{len(run.watched)}: " + _counts(endings)),
        ("their way", _counts(ways)),
        ("blows", _counts(Counter(blow.kind for blow in run.blows))),
        ("connections", f"{run.tally.connects}, of which {run.tally.reconnects} came back"),
        ("rewinds seen", str(sum(len(book.rewinds) for book in books))),
        ("gaps healed by an attach", str(sum(book.attaches for book in books))),
        ("events seen twice and dropped", str(sum(book.repeats for book in books))),
        ("processor", run.processor),
        ("refused for a while", _counts(run.tally.refused) or "nothing"),
    ]
    for kind in ("taken over", "line", "bystander", "redis", "rolling"):
        lasted = [pause.lasted_s for pause in run.pauses if pause.kind == kind]
        if lasted:
            rows.append((f"silence, {kind}", f"{len(lasted)} viewers: {_spread(lasted)}"))
    return rows


def _texts(run: Run) -> Promise:
    broken = []
    compared = 0
    for watched, stored in run.pairs():
        texts = [book.text for book in watched.books]
        if stored is None or len(texts) != 2:
            broken.append(f"{watched.question.name}: not stored, or not seen by two")
            continue
        compared += 1
        digest = hashlib.sha256(stored.text.encode()).hexdigest()
        if digest != stored.sha256 or len(stored.text) != stored.length:
            broken.append(f"{watched.question.name}: the stored text is not what its row says")
        broken += [
            f"{watched.question.name}: a viewer has {len(text)} code points, {len(stored.text)} are stored"
            f" ({_unlike(text, stored.text)})"
            for text in texts
            if text != stored.text
        ]
    return Promise("both viewers saw the stored text and its hash", f"{compared} turns compared", broken)


def _offsets(run: Run) -> Promise:
    broken = []
    applied = 0
    for watched, stored in run.pairs():
        for book in watched.books:
            applied += book.last
            broken += [f"{watched.question.name}: {fault}" for fault in book.faults]
            if stored is None or book.end is None:
                continue
            here = (book.epoch, book.last)
            if here > stored.place or (book.epoch == stored.epoch and here != stored.place):
                broken.append(f"{watched.question.name}: a viewer is at {here}, stored is {stored.place}")
    broken += run.tally.faults
    return Promise("no offset missing, none twice", f"{applied} entries applied", broken)


def _endings(run: Run) -> Promise:
    """Each viewer was told one ending, with the same content as the row.

    Its place may be of an earlier epoch: a worker that dies after it has told its own viewers, and before anybody else
    knows, leaves others to be told by the next one.
    """
    broken = []
    earlier = 0
    for watched, stored in run.pairs():
        ends = [book.end for book in watched.books]
        if len(ends) != 2 or None in ends:
            broken.append(f"{watched.question.name}: {2 - len(ends) + ends.count(None)} viewers saw no turn_end")
            continue
        first, second = ({name: end[name] for name in end if name not in ("epoch", "offset")} for end in ends if end)
        if first != second:
            broken.append(f"{watched.question.name}: the two endings differ: {_differences(first, second)}")
        if stored is not None:
            told = {name: first[name] for name in ("status", "reason", "length", "sha256", "charged")}
            kept = {name: getattr(stored, name) for name in told}
            if told != kept:
                broken.append(f"{watched.question.name}: told and stored {_differences(told, kept)}")
            earlier += any(end["epoch"] != stored.epoch for end in ends if end)
    found = f"{len(run.watched)} turns" + (f", {earlier} of them told under an earlier epoch" if earlier else "")
    return Promise("exactly one turn_end each, as stored", found, broken)


def _none_running(run: Run) -> Promise:
    broken = [f"{name}: {turn.status}" for name, turn in run.stored.turns.items() if turn.status == "running"]
    strangers = set(run.stored.turns) - {watched.question.name for watched in run.watched}
    broken += [f"a turn that nobody asked for: {name}" for name in strangers]
    return Promise("every turn has ended, none began twice", f"{len(run.stored.turns)} rows", broken)


def _answers(run: Run) -> Promise:
    """The vendor's own words, without a piece lost or doubled where one request took over from another."""
    broken = []
    whole = 0
    for watched, stored in run.pairs():
        if stored is None:
            continue
        answer = whole_answer(watched.question)
        whole += stored.text == answer
        if stored.status == "done" and stored.text != answer:
            broken.append(f"{watched.question.name}: done, but {_unlike(stored.text, answer)}")
        elif not answer.startswith(stored.text):
            broken.append(f"{watched.question.name}: {stored.status}, and {_unlike(stored.text, answer)}")
    return Promise("the text is what the vendor says", f"{whole} answers whole", broken)


def _whole(run: Run) -> Promise:
    """What can go on goes on."""
    broken = []
    for watched, stored in run.pairs():
        if stored is None:
            continue
        allowed = ("done",) if watched.question.model in CONTINUES else ("done", "interrupted")
        if stored.status not in allowed:
            broken.append(f"{watched.question.name}: {stored.status} ({stored.reason}) at epoch {stored.epoch}")
    count = sum(watched.question.model in CONTINUES for watched in run.watched)
    return Promise("answers that can be continued come to their end", f"{count} turns of models that can", broken)


def _books(run: Run) -> Promise:
    broken = list(run.stored.audit)
    charged = used = 0
    for name, turn in run.stored.turns.items():
        charged += turn.ledger_charged or 0
        used += turn.prompt_tokens + turn.completion_tokens
        if turn.ledger_charged is None or turn.ledger_reserved:
            broken.append(f"{name}: charged {turn.ledger_charged}, still reserved {turn.ledger_reserved}")
        elif turn.ledger_charged != turn.prompt_tokens + turn.completion_tokens:
            broken.append(
                f"{name}: charged {turn.ledger_charged}, used {turn.prompt_tokens} + {turn.completion_tokens}"
            )
    return Promise("charges equal the stored usage", f"{charged} charged, {used} used", broken)


def _sold(run: Run) -> Promise:
    """A turn that one request answered from its beginning to its end is charged by the vendor's own count of it.

    A turn whose answer took several is charged by ours: the question once, and the stored text. That is never more than
    what was sold for it, because every request after the first brings only what was missing.
    """
    broken = []
    exact = 0
    for watched, stored in run.pairs():
        if stored is None:
            continue
        name, its = watched.question.name, run.calls.get(watched.question.name, [])
        whole = {call.prompt_tokens + call.sold for call in its if call.finished and not call.prefix}
        if not stored.estimated:
            exact += 1
            if stored.charged not in (whole or {0}):
                broken.append(f"{name}: the vendor sold {sorted(whole)}, charged {stored.charged}")
            continue
        answer = our_count(stored.text)
        right = our_prompt_count(watched.question) + answer if stored.text else 0
        if stored.charged != right:
            broken.append(f"{name}: by our count {right}, charged {stored.charged}")
        if answer > our_count("".join(call.text for call in its)):
            broken.append(f"{name}: more is stored than was sold")
        if len(its) == 1 and its[0].finished and stored.epoch == 1:
            broken.append(f"{name}: nothing disturbed it, yet it was charged by our count")
    sold = sum(call.sold for its in run.calls.values() for call in its)
    return Promise("charged what the vendor sold", f"{exact} turns by the vendor's count; {sold} pieces sold", broken)


def _pauses(run: Run) -> Promise:
    mine = [pause for pause in run.pauses if pause.kind in ("taken over", "line", "bystander")]
    broken = [
        f"{pause.turn}: {pause.lasted_s:.1f} s, {pause.kind}" for pause in mine if pause.lasted_s > run.plan.pause_s
    ]
    found = _spread([pause.lasted_s for pause in mine if pause.kind == "taken over"]) if mine else "no kill"
    return Promise(f"after a kill nobody waits longer than {run.plan.pause_s:g} s", found, broken)


def _sessions(run: Run) -> Promise:
    """A session is unknown only where its worker may have gone while it lasted."""
    broken = [answer for answer in run.tally.refused if "HTTP 400" in answer]
    excused = 0
    for began, ended, answer in run.polled.refused:
        if any(blow.at < ended and began < (blow.over or blow.at) + LEAVING_S for blow in run.blows):
            excused += 1
        else:
            broken.append(f"by polling: {answer}")
    polled = f"{run.polled.sessions} polled in {run.polled.requests} requests"
    lost = f", {excused} lost with their workers" if excused else ""
    return Promise("no invalid session", f"{run.tally.connects} connections, {polled}{lost}", broken)


def _goodbye(run: Run) -> Promise:
    broken = [f"exit code {run.exit_code}"] if run.exit_code else []
    return Promise("the server stops when told to", f"exit code {run.exit_code}", broken)


def _way(its: Sequence[Call]) -> str:
    if len(its) <= 1:
        return "in one request"
    if any(call.prefix for call in its[1:]):
        return "continued"
    return "started over" if any(call.sold for call in its[:-1]) else "asked again before the first piece"


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)!r} and {other.get(name)!r}" for name in names)


def _unlike(text: str, other: str) -> str:
    """Where two texts part."""
    same = next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    return f"unlike from {same}: {text[same : same + 24]!r} for {other[same : same + 24]!r}"


def _spread(lasted: Sequence[float]) -> str:
    return (
        f"p50 {percentile(lasted, 0.5):.1f} s, p95 {percentile(lasted, 0.95):.1f} s, max {max(lasted, default=0):.1f} s"
    )


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items(), key=lambda item: -item[1]))


def table(rows: Iterable[Promise], others: Iterable[tuple[str, str]], shown: int = SHOWN) -> str:
    """Both, to be printed; of each broken promise as many examples as are to be shown."""
    lines = []
    for row in rows:
        lines.append(f"{'kept  ' if row.kept else 'BROKEN'}  {row.name:<48}  {row.found}")
        lines += [f"            {fault}" for fault in row.broken[:shown]]
        if len(row.broken) > shown:
            lines.append(f"            and {len(row.broken) - shown} more")
    lines.append("")
    lines += [f"{name:<32}  {value}" for name, value in others]
    return "\n".join(lines)
