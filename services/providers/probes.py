"""Asks every vendor that is set up for a few words; `./run doctor` runs this as a process of its own, under gevent.

Reads the settings as a JSON object, writes one line of JSON for each `Probed`. With `--offline` nobody is asked.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

import gevent

import config
from services.clock import SystemClock
from services.discovery import collect
from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.providers.base import ChatMessage, ChatProvider, ChatRequest, FindsModels, ModelCard, ProviderSpec
from services.providers.catalogue import Catalogue, with_proxies
from services.wire.dial import DialSettings

ASK_S = 10.0
TOKENS = 16
_QUESTION = (ChatMessage("user", "Say hello."),)

_LATE = (
    f"It did not begin to answer within {ASK_S:g} s: it may be overloaded, or its address in ..._BASE_URL wrong.",
    f"{ASK_S:g} 秒内没有开始回答：可能过于繁忙，或 …_BASE_URL 中的地址有误。",
)
_GENERAL: dict[type[VendorError], tuple[str, str]] = {  # where nobody knew better
    VendorTimeout: _LATE,
    VendorOverloaded: (
        "It broke off, or sent what cannot be read: try again, and check its address in ..._BASE_URL if that stays.",
        "连接中断或返回了无法识别的内容：请重试；若持续如此，请检查 …_BASE_URL 中的地址。",
    ),
    VendorRefused: (
        "It refused the question: the server's log tells more when a turn is refused.",
        "它拒绝了提问：回答被拒绝时，服务器日志中有更多信息。",
    ),
    ContentBlocked: (
        "Its safety review refused a greeting: look at the rules set in the vendor's console.",
        "它的内容审核拒绝了一句问候：请查看服务商控制台中的审核规则。",
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Probed:
    """What became of one question.

    Attributes:
        provider: Empty where a setting is at fault.
        model: The model asked; empty where the vendor was asked for its list.
        found: Models listed, where the list was asked for.
        seconds: Until the first piece.
        fault: What is wrong and what to do, in English and Chinese; None when it answered.
    """

    provider: str = ""
    model: str = ""
    found: int | None = None
    seconds: float = 0.0
    fault: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One question to one vendor."""

    provider: str
    model: str
    run: Callable[[], Probed | None]


def main(arguments: list[str]) -> None:
    """Print what was found."""
    logging.disable()  # vendors' own words are for the server's log
    specs = collect("services.providers", ProviderSpec)
    for probed in probes(specs, with_proxies(json.load(sys.stdin)), offline="--offline" in arguments):
        print(json.dumps(dataclasses.asdict(probed)), flush=True)


def probes(specs: Iterable[ProviderSpec], env: Mapping[str, str], *, offline: bool) -> Iterator[Probed]:
    """What is wrong with the settings; then, unless `offline`, every vendor's answer, the preferred one's first."""
    providers: list[tuple[ProviderSpec, ChatProvider]] = []
    faults = []
    for spec in sorted(specs, key=lambda spec: (spec.order, spec.name)):
        try:
            providers.append((spec, spec.build(config.read(spec.settings, env, prefix=spec.prefix))))
        except config.ConfigError as refused:
            faults.append(refused)
    if not faults:
        try:
            Catalogue([spec for spec, _ in providers], env, config.read(config.TurnSettings, env)).close()
        except config.ConfigError as refused:
            faults.append(refused)
    yield from (Probed(fault=(str(refused), refused.chinese)) for refused in faults)
    if not offline:
        jobs = [job for spec, provider in providers if _is_set_up(spec, env) for job in _jobs(spec.name, provider, env)]
        for greenlet in [gevent.spawn(_guarded, job) for job in jobs]:
            if (probed := greenlet.get()) is not None:
                yield probed


def _jobs(name: str, provider: ChatProvider, env: Mapping[str, str]) -> list[Job]:
    """A server of one's own is asked for its models only: to ask one of them might load it for minutes."""
    if isinstance(provider, FindsModels):
        return [Job(name, "", functools.partial(_look, name, provider))]
    cards = _to_ask(provider, env.get("DEFAULT_MODEL", ""))
    return [Job(name, card.id, functools.partial(_ask, name, provider, card)) for card in cards]


def _guarded(job: Job) -> Probed | None:
    try:
        with gevent.Timeout(ASK_S, VendorTimeout("late", advice=_LATE)):
            return job.run()
    except VendorError as error:
        return Probed(job.provider, job.model, fault=_explained(error))
    except Exception as surprise:  # noqa: BLE001 - the top of a greenlet: the other vendors' answers still count
        name = type(surprise).__name__
        return Probed(job.provider, job.model, fault=(f"It could not be asked ({name}).", f"无法试问（{name}）。"))


def _is_set_up(spec: ProviderSpec, env: Mapping[str, str]) -> bool:
    """Whether one of the provider's own variables is set."""
    shared = {field.name for field in dataclasses.fields(DialSettings)}
    own = (field for field in dataclasses.fields(spec.settings) if field.name not in shared)
    return any(env.get(config.name_of(field, spec.prefix)) for field in own)


def _to_ask(provider: ChatProvider, default: str) -> list[ModelCard]:
    """The provider's preferred model, and the default one where it is this provider's."""
    cards = [card for card in provider.models() if card.available]
    return [card for number, card in enumerate(cards) if number == 0 or card.id == default]


def _ask(name: str, provider: ChatProvider, card: ModelCard) -> Probed:
    request = ChatRequest(model=card.vendor_model, messages=_QUESTION, max_tokens=TOKENS)
    clock = SystemClock()
    begun = clock.monotonic()
    with closing(provider.stream(request)) as pieces:
        next(pieces)  # one is enough: that it comes shows that everything is in order
    return Probed(name, card.id, seconds=clock.monotonic() - begun)


def _look(name: str, provider: FindsModels) -> Probed | None:
    found = provider.find()
    return None if found is None else Probed(name, found=len(found))


def _explained(error: VendorError) -> tuple[str, str]:
    return error.advice or next(advice for kind, advice in _GENERAL.items() if isinstance(error, kind))


if __name__ == "__main__":
    main(sys.argv[1:])
