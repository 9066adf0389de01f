"""Which models stand in for which, and how turns are shared out among them: `MODEL_CHAINS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import config

HEAVIEST = 1_000


@dataclass(frozen=True, slots=True)
class Member:
    """A model in a step of a chain; of `weight` 3 it is asked first three times as often as a neighbour of 1."""

    model: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps that stand in for one another in their order; the members of one step share the turns.

    Attributes:
        steps: None of them empty, no model twice.
    """

    steps: tuple[tuple[Member, ...], ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Every member, as written."""
        return tuple(member.model for step in self.steps for member in step)

    def order(self, random: Callable[[], float]) -> list[str]:
        """Whom one turn asks: step after step, the members of a step shuffled by their weights.

        `random` gives numbers from 0 up to and without 1.
        """
        order: list[str] = []
        for step in self.steps:
            # The least of exponential waits with these rates falls on a member as often as its weight says.
            waits = [(-math.log(1 - random()) / member.weight, member.model) for member in step]
            order += [model for _, model in sorted(waits)] if len(step) > 1 else [step[0].model]
        return order


def read_chains(text: str) -> dict[str, Chain]:
    """`MODEL_CHAINS` as public id -> chain.

    Raises:
        config.ConfigError: It does not read so.
    """
    chains: dict[str, Chain] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        public_id, equals, rest = part.partition("=")
        chain = Chain(tuple(tuple(map(_member, step.split(","))) for step in rest.split(">")))
        models = chain.models
        if not equals or not public_id.strip() or not all(models) or len(set(models)) != len(models):
            raise config.ConfigError(
                f"MODEL_CHAINS must read name=model>model,model*2;..., not {part!r}.",
                f"MODEL_CHAINS 应写成 名称=模型>模型,模型*2;…，而不是 {part!r}。",
            )
        chains[public_id.strip()] = chain
    return chains


def _member(text: str) -> Member:
    model, star, weight = (part.strip() for part in text.partition("*"))
    if not star:
        return Member(model)
    if not (weight.isascii() and weight.isdigit() and 1 <= int(weight) <= HEAVIEST):
        raise config.ConfigError(
            f"MODEL_CHAINS: the weight of {model} must be a whole number from 1 to {HEAVIEST}, not {weight!r}.",
            f"MODEL_CHAINS：{model} 的权重应为 1 到 {HEAVIEST} 的整数，而不是 {weight!r}。",
        )
    return Member(model, int(weight))
