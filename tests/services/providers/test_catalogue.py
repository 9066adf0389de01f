"""Models by id: availability, defaults, chains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

import config
from services.errors import ModelUnavailable, ModelUnknown
from services.events import Stop, TextDelta
from services.providers.base import ModelCard, ProviderSpec
from services.providers.catalogue import Catalogue
from services.providers.route import Route
from tests.services.providers.scripted import REQUEST, ScriptedProvider


@dataclass(frozen=True, slots=True)
class NoSettings:
    """A provider without settings."""


def spec(provider: ScriptedProvider, order: int) -> ProviderSpec:
    return ProviderSpec(
        name=provider.card.provider, settings=NoSettings, prefix="", build=lambda _: provider, order=order
    )


def catalogue(
    *providers: ScriptedProvider,
    chains: str = "",
    settings: config.TurnSettings | None = None,
    random: Callable[[], float] = lambda: 0.0,
) -> Catalogue:
    specs = [spec(provider, order) for order, provider in enumerate(providers)]
    return Catalogue(reversed(specs), {"MODEL_CHAINS": chains}, settings or config.TurnSettings(), random=random)


def members(route: Route) -> list[str]:
    return [link.card.id for link in route._chain]


def test_the_default_is_the_first_available_model_by_order() -> None:
    """A provider without a key is listed and passed over."""
    models = catalogue(ScriptedProvider("a", available=False), ScriptedProvider("b"), ScriptedProvider("c"))
    assert [card.id for card in models.cards()] == ["a", "b", "c"]
    assert models.default().id == "b"


def test_the_chosen_default_is_used_while_it_is_available() -> None:
    """`DEFAULT_MODEL` wins; one without a key does not; one that nobody serves is refused by name."""
    providers = ScriptedProvider("a"), ScriptedProvider("b"), ScriptedProvider("c", available=False)
    assert catalogue(*providers, settings=config.TurnSettings(default_model="b")).default().id == "b"
    assert catalogue(*providers, settings=config.TurnSettings(default_model="c")).default().id == "a"
    with pytest.raises(config.ConfigError, match=r"DEFAULT_MODEL must be one of a, b, c, not 'x'"):
        catalogue(*providers, settings=config.TurnSettings(default_model="x"))


def test_unknown_and_unavailable_are_told_apart() -> None:
    """The two are different errors, and both name the field."""
    models = catalogue(ScriptedProvider("a", available=False))
    with pytest.raises(ModelUnknown) as unknown:
        models.find("x")
    with pytest.raises(ModelUnavailable) as unavailable:
        models.find("a")
    assert unknown.value.field == unavailable.value.field == "model"
    with pytest.raises(ModelUnavailable):
        models.default()


def test_a_chain_can_stand_behind_a_model_or_a_name_of_its_own() -> None:
    """Members without a key are left out; the chain is available while one member is."""
    providers = ScriptedProvider("a", available=False), ScriptedProvider("b"), ScriptedProvider("c")
    models = catalogue(*providers, chains="a=a>b; best = b > c")
    assert members(models.find("a")) == ["b"]
    assert members(models.find("best")) == ["b", "c"]
    assert members(models.find("b")) == ["b"]
    cards = {card.id: card for card in models.cards()}
    assert list(cards) == ["a", "b", "c", "best"]
    assert cards["a"].available
    assert cards["a"].name == "a"
    assert cards["best"].name == "best"
    assert models.find("best").card is not None


def test_a_step_shares_the_turns_by_weight() -> None:
    """Three to one, each time the rest of the step before the next one; a member without a key takes no share."""
    providers = [ScriptedProvider(name) for name in ("a", "b", "c")]
    closed = ScriptedProvider("d", available=False)
    models = catalogue(*providers, closed, chains="x=a*3, b ,d*9>c", random=Random(7).random)
    orders = Counter("".join(members(models.find("x"))) for _ in range(4_000))
    assert set(orders) == {"abc", "bac"}
    assert 0.70 < orders["abc"] / 4_000 < 0.80
    assert models.find("x").card.provider == "a"


@pytest.mark.parametrize(
    "chains",
    ["a", "=a", "x=", "x=a>>b", "x=a>a", "x=a,a>b", "x=a,>b", "x=a>nobody", "x=a*0", "x=a*b", "x=a*1.5", "x=a*"],
)
def test_a_chain_that_means_nothing_is_refused_by_name(chains: str) -> None:
    """The error names the variable."""
    with pytest.raises(config.ConfigError, match="^MODEL_CHAINS"):
        catalogue(ScriptedProvider("a"), ScriptedProvider("b"), chains=chains)


def test_of_two_models_with_one_id_the_available_one_is_served() -> None:
    """Another vendor's endpoint may serve a well-known name; the key decides."""
    closed, open_ = ScriptedProvider("a", available=False), ScriptedProvider("b", [TextDelta("hi"), Stop("stop")])
    open_.card = ModelCard(id="a", name="a", provider="b", vendor_model="a")
    route = catalogue(closed, open_).find("a")

    class Clock:
        def restart(self) -> None:
            pass

    assert list(route.stream(REQUEST, Clock())) == [TextDelta("hi"), Stop("stop")]
