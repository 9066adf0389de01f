"""Every model that is served here: found by its id, with its stand-ins."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import config
from services.errors import ModelUnavailable, ModelUnknown
from services.providers.base import AdoptsModels, ChatProvider, ModelCard, ProviderSpec
from services.providers.breaker import Breaker
from services.providers.chains import read_chains
from services.providers.route import Link, Route

log = logging.getLogger(__name__)

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # as often written in small letters


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """Which models stand in for which."""

    model_chains: str = config.setting(
        "",
        "Models that stand in for one another, as name=model>model>model, or that share the turns by weight, as"
        " name=model*3,model>model; several chains separated by semicolons.",
        env="MODEL_CHAINS",
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One provider with what is counted about it."""

    provider: ChatProvider
    breaker: Breaker


class Catalogue:
    """Builds the providers and answers for their models. Never touches the network itself."""

    def __init__(
        self,
        specs: Iterable[ProviderSpec],
        env: Mapping[str, str],
        settings: config.TurnSettings,
        *,
        random: Callable[[], float] = random.random,
        breaker: Callable[[str], Breaker] = lambda name: Breaker(),
    ) -> None:
        """Build every provider from its slice of the environment, and its breaker by its name.

        Raises:
            config.ConfigError: A vendor's setting is wrong, or `MODEL_CHAINS` or `DEFAULT_MODEL` names no model.
        """
        env = with_proxies(env)
        ordered = sorted(specs, key=lambda spec: (spec.order, spec.name))
        self._entries: dict[str, _Entry] = {}
        for spec in ordered:
            provider = spec.build(config.read(spec.settings, env, prefix=spec.prefix))
            self._entries[spec.name] = _Entry(provider, breaker(spec.name))
        self._default = settings.default_model
        self._chains = read_chains(config.read(CatalogueSettings, env).model_chains)
        self._random = random
        self._check()

    def cards(self) -> tuple[ModelCard, ...]:
        """Every model, available or not, as defaults are chosen; chains with names of their own at the end."""
        return tuple(self._by_id().values())

    def default(self) -> ModelCard:
        """The model of a turn that names none: `DEFAULT_MODEL` while it is available, else the first that is.

        Raises:
            ModelUnavailable: No model at all is available.
        """
        cards = self._by_id()
        chosen = cards.get(self._default)
        if chosen is not None and chosen.available:
            return chosen
        for card in cards.values():
            if card.available:
                return card
        raise ModelUnavailable("No model is available; add a key to .env.")

    def find(self, model_id: str) -> Route:
        """The way to a model's answers.

        Raises:
            ModelUnknown: No model of that id is served here.
            ModelUnavailable: It is known, but neither it nor a stand-in can be asked now.
        """
        card = self._by_id().get(model_id)
        if card is None:
            raise ModelUnknown("No model of that name is served here.", field="model")
        own = self._own()
        chained = self._chains.get(model_id)
        names = chained.order(self._random) if chained else [model_id]
        members = (own[name] for name in names if name in own)
        chain = tuple(self._link(member) for member in members if member.available)
        if not chain:
            raise ModelUnavailable("This model has no key here; ask the operator or choose another one.", field="model")
        return Route(chain, card=card)

    def close(self) -> None:
        """Let every provider's idle connections go."""
        for entry in self._entries.values():
            entry.provider.close()

    def _link(self, card: ModelCard) -> Link:
        entry = self._entries[card.provider]
        return Link(card, entry.provider, entry.breaker)

    def _own(self) -> dict[str, ModelCard]:
        """What the providers themselves list. Of two that share an id the available one counts, then the first."""
        cards: dict[str, ModelCard] = {}
        for entry in self._entries.values():
            for card in entry.provider.models():
                known = cards.get(card.id)
                if known is None or (card.available and not known.available):
                    cards[card.id] = card
        return cards

    def _by_id(self) -> dict[str, ModelCard]:
        """The providers' models with the chains among them."""
        own = self._own()
        cards = dict(own)
        for public_id, chain in self._chains.items():
            members = [own[name] for name in chain.models if name in own]
            if members:
                face = next((card for card in members if card.available), members[0])
                name = own[public_id].name if public_id in own else public_id
                cards[public_id] = replace(face, id=public_id, name=name)
        return cards

    def _check(self) -> None:
        """Refuse names that can never mean a model; `<provider>/<name>` may be found later."""
        own = self._own()

        def unknown(name: str) -> bool:
            if name in own or name.partition("/")[0] in self._entries:
                return False
            providers = (entry.provider for entry in self._entries.values())
            return not any(isinstance(provider, AdoptsModels) and provider.adopt(name) for provider in providers)

        for public_id, chain in self._chains.items():
            for name in chain.models:
                if unknown(name):
                    raise config.ConfigError(
                        f"MODEL_CHAINS: {public_id} names {name}, which no provider serves.",
                        f"MODEL_CHAINS：{public_id} 中的 {name} 没有任何服务商提供。",
                    )
        if self._default and self._default not in self._chains and unknown(self._default):
            served = ", ".join([*own, *self._chains])
            raise config.ConfigError(
                f"DEFAULT_MODEL must be one of {served}, not {self._default!r}.",
                f"DEFAULT_MODEL 应为以下之一：{served}，而不是 {self._default!r}。",
            )


def with_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """The environment, with proxies under the names that settings have."""
    return {**{name: env[name.lower()] for name in _PROXIES if env.get(name.lower())}, **env}
