"""What each vendor's file adds to the shared adapter."""

from __future__ import annotations

from typing import Any

import pytest

import config
from services.discovery import collect
from services.errors import ModelUnknown
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.base import ChatMessage, ChatRequest, ModelCard, ProviderSpec
from services.providers.catalogue import Catalogue
from services.providers.deepseek import DeepSeek, DeepSeekSettings
from services.providers.found_models import FORGOTTEN_AFTER, LOOK_AGAIN_S, FoundModels
from services.providers.openai import OpenAI, OpenAISettings
from services.wire.dial import DialSettings
from services.wire.http_client import HttpClient
from simulators.faults import Fault
from simulators.openai import KEY, OpenAISimulator, answer_to
from tests.clocks import FakeClock
from tests.services.wire.servers import closed_port

SPECS = collect("services.providers", ProviderSpec)
HELLO = (ChatMessage("user", "hi"),)


def catalogue(turns: config.TurnSettings | None = None, **env: str) -> Catalogue:
    return Catalogue(SPECS, {"OLLAMA_BASE_URL": "off", **env}, turns or config.TurnSettings())


def available(models: Catalogue) -> set[str]:
    return {card.id for card in models.cards() if card.available}


class Clock:
    def restart(self) -> None:
        """Nobody watches."""


def test_without_keys_only_the_demo_answers() -> None:
    """Vendors are listed, so that people see what a key would bring."""
    models = catalogue()
    assert available(models) == {"demo"}
    assert models.default().id == "demo"
    assert {"gpt-4o-mini", "deepseek-chat", "deepseek-reasoner", "qwen-plus"} <= {card.id for card in models.cards()}


def test_a_key_makes_a_vendor_the_default() -> None:
    """And its own model names come first."""
    assert catalogue(DEEPSEEK_API_KEY="k").default().id == "deepseek-chat"
    assert catalogue(DEEPSEEK_API_KEY="k", DEEPSEEK_MODEL="deepseek-reasoner").default().id == "deepseek-reasoner"
    assert catalogue(DASHSCOPE_API_KEY="k", QWEN_MODEL="qwen-max-latest").default().id == "qwen-max-latest"
    assert catalogue(OPENAI_API_KEY="k", OPENAI_MODEL="gpt-5, gpt-4o").default().id == "gpt-5"


def test_a_server_of_ones_own_needs_no_key() -> None:
    """`OPENAI_BASE_URL` alone makes it available, and no key is sent."""
    models = catalogue(OPENAI_BASE_URL="http://127.0.0.1:1234/v1", OPENAI_MODEL="my-model")
    assert models.default().id == "my-model"
    provider = OpenAI(OpenAISettings(base_url="http://127.0.0.1:1234/v1", model=("my-model",)))
    assert "Authorization" not in provider.headers()


def test_a_model_the_operator_names_is_served_though_it_is_not_listed() -> None:
    """By the vendor whose name it bears, or by the operator's own server; a name of nobody's is refused."""
    turns = config.TurnSettings(default_model="gpt-4.1-nano")
    assert catalogue(turns, OPENAI_API_KEY="k").default().id == "gpt-4.1-nano"
    turns = config.TurnSettings(default_model="llama-of-mine")
    assert catalogue(turns, OPENAI_BASE_URL="http://127.0.0.1:1234/v1").default().id == "llama-of-mine"
    with pytest.raises(config.ConfigError, match="DEFAULT_MODEL"):
        catalogue(turns, OPENAI_API_KEY="k")
    with pytest.raises(ModelUnknown):
        catalogue(OPENAI_BASE_URL="http://127.0.0.1:1234/v1").find("llama-of-mine")


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"OPENAI_BASE_URL": "ftp://x"}, "OPENAI_BASE_URL"),
        ({"DEEPSEEK_BASE_URL": "api.deepseek.com"}, "DEEPSEEK_BASE_URL"),
        ({"DASHSCOPE_BASE_URL": "https://"}, "DASHSCOPE_BASE_URL"),
        ({"VLLM_BASE_URL": "localhost:8000"}, "VLLM_BASE_URL"),
        ({"OLLAMA_BASE_URL": "http://host:port"}, "OLLAMA_BASE_URL"),
        ({"OPENAI_API_KEY": "sk-全角"}, "OPENAI_API_KEY"),
        ({"DEEPSEEK_API_KEY": "sk one"}, "DEEPSEEK_API_KEY"),
        ({"HTTP_PROXY": "socks5://x:1"}, "HTTP_PROXY"),
        ({"https_proxy": "socks5://x:1"}, "HTTPS_PROXY"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(env: dict[str, str], name: str) -> None:
    """Before the port opens; a key is not repeated."""
    with pytest.raises(config.ConfigError, match=f"^{name}") as caught:
        catalogue(None, **env)
    assert "全角" not in str(caught.value)


def test_keys_are_in_no_repr() -> None:
    """Settings end up in logs and tracebacks."""
    assert "sk-1" not in repr(OpenAISettings(api_key="sk-1", https_proxy="http://u:sk-1@proxy:1"))


# OpenAI


def test_newer_models_are_asked_in_newer_words() -> None:
    """No sampling parameters, and another name for the limit; others keep the old one."""
    provider = OpenAI(OpenAISettings(api_key="k"))
    request = ChatRequest("o3", HELLO, temperature=0.5, top_p=0.9, max_tokens=100, user="u1")
    assert provider.body(request) == {
        "model": "o3",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 100,
        "user": "u1",
    }
    body = provider.body(ChatRequest("gpt-4o", HELLO, temperature=0.5, max_tokens=100))
    assert (body["temperature"], body["max_tokens"]) == (0.5, 100)


# DeepSeek


def test_the_reasoners_thoughts_come_apart_from_its_answer() -> None:
    """And it is asked for no temperature."""
    with OpenAISimulator() as simulator:
        models = catalogue(DEEPSEEK_API_KEY=KEY, DEEPSEEK_BASE_URL=f"{simulator.url}/deepseek/v1")
        request = ChatRequest("", HELLO, temperature=0.5)
        pieces = list(models.find("deepseek-reasoner").stream(request, Clock()))
        models.close()
    kinds = [type(piece) for piece in pieces]
    assert kinds[0] is ReasoningDelta
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == "".join(answer_to("hi"))
    assert isinstance(pieces[-1], Stop)
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.completion_tokens == len(pieces) - 1
    assert "temperature" not in simulator.calls[-1].json


@pytest.mark.parametrize("base", ["", "/v1", "/beta", "/"])
def test_deepseek_continues_under_its_beta_address(base: str) -> None:
    """Whatever form the address was given in."""
    provider = DeepSeek(DeepSeekSettings(api_key="k", base_url=f"https://api.deepseek.com{base}"))
    request = ChatRequest("deepseek-chat", HELLO, prefix="so far")
    assert provider.url(request) == "https://api.deepseek.com/beta/chat/completions"
    assert provider.body(request)["messages"][-1] == {"role": "assistant", "content": "so far", "prefix": True}


def test_a_broken_answer_is_finished_by_the_next_of_the_chain() -> None:
    """DeepSeek breaks off twice, Qwen goes on from where the text stands; one answer, no word twice."""
    script = [Fault(reset_after=4), Fault(cut_after=3), None]
    with OpenAISimulator(script=script) as simulator:
        models = catalogue(
            DEEPSEEK_API_KEY=KEY,
            DEEPSEEK_BASE_URL=f"{simulator.url}/deepseek",
            DASHSCOPE_API_KEY=KEY,
            DASHSCOPE_BASE_URL=f"{simulator.url}/dashscope/compatible-mode/v1",
            MODEL_CHAINS="deepseek-chat=deepseek-chat>qwen-plus",
        )
        pieces = list(models.find("deepseek-chat").stream(ChatRequest("", HELLO), Clock()))
        models.close()
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == "".join(answer_to("hi"))
    assert [call.dialect for call in simulator.calls] == ["deepseek", "deepseek", "dashscope"]
    assert sum(simulator.sold) == len(answer_to("hi"))


# Found models


def test_ollamas_models_are_found_where_it_listens() -> None:
    """Those that chat; a picture reader is known by its family."""
    with OpenAISimulator() as simulator:
        models = catalogue(OLLAMA_BASE_URL=f"{simulator.url}/ollama/", OLLAMA_CONTEXT_TOKENS="8192")
        simulator.wait_for_call().ended.wait(5)
        models._entries["ollama"].provider._found.wait(5)  # type: ignore[attr-defined]
        cards = {card.id: card for card in models.cards() if card.provider == "ollama"}
        models.close()
    assert list(cards) == ["ollama/qwen2:7b", "ollama/llava:13b"]
    assert [card.vision for card in cards.values()] == [False, True]
    assert cards["ollama/qwen2:7b"].context_tokens == 8192
    assert models.default().id == "ollama/qwen2:7b"


def test_a_server_that_is_gone_is_forgotten_after_some_looks() -> None:
    """A busy moment is not the end; each look is due only after a while, and asking never waits."""
    clock = FakeClock()
    card = ModelCard(id="x/y", name="y", provider="x", vendor_model="y")

    def read(listed: Any) -> tuple[ModelCard, ...]:
        return (card,) if listed["data"] else ()

    with OpenAISimulator("vllm") as simulator:
        found = FoundModels(HttpClient(DialSettings()), f"{simulator.url}/v1/models", dict, read, clock=clock)
        assert found.cards() == ()
        found.wait(5)
        assert found.cards() == (card,)
        assert len(simulator.calls) == 1
    with closed_port() as port:
        found._url = f"http://127.0.0.1:{port}/v1/models"
        for _ in range(FORGOTTEN_AFTER):
            assert found.cards() == (card,)
            clock.advance(LOOK_AGAIN_S)
            found.cards()
            found.wait(5)
        assert found.cards() == ()
