from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockets.serving.packets import ACK, CONNECT, DISCONNECT, EVENT, IncomingPacket, OutgoingPacket, decode
from sockets.serving.violation import Violation


def decoded(text: str) -> IncomingPacket:
    return decode(text, max_attachments=10, room=lambda _: 1_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (CONNECT, "/", None, None)),
        ('0/text,{"token":"x"}', (CONNECT, "/text", None, {"token": "x"})),
        ("0/text?a=b,", (CONNECT, "/text", None, None)),
        ("1/text,", (DISCONNECT, "/text", None, None)),
        ("1/text", (DISCONNECT, "/text", None, None)),
        ('2["a"]', (EVENT, "/", None, ["a"])),
        ('2/text,12["a",1,{"b":null}]', (EVENT, "/text", 12, ["a", 1, {"b": None}])),
        ('2/text,0["a"]', (EVENT, "/text", 0, ["a"])),
        ('2["1-2","/x,"]', (EVENT, "/", None, ["1-2", "/x,"])),
        ('50-["a"]', (EVENT, "/", None, ["a"])),
        ('2["",{"_placeholder":true,"__proto__":1}]', (EVENT, "/", None, ["", {"_placeholder": True, "__proto__": 1}])),
        ("3/text,7[1]", (ACK, "/text", 7, [1])),
        ("3-1[]", (ACK, "/", -1, [])),
        ("3" + "9" * 100 + "[]", (ACK, "/", int("9" * 100), [])),
    ],
)
def test_what_clients_send_is_understood(text: str, expected: tuple[Any, ...]) -> None:
    packet = decoded(text)
    assert (packet.kind, packet.namespace, packet.id, packet.data) == expected
    assert not packet.missing


MALFORMED = [
    *["", "7", "x", "-", "4", '4{"message":"no"}', "2", "2{}", "2[]", "2[null]", '2[{"a":1}]', "2[1]", '2"a"', '2["a"'],
    *['2["a"]x', '2-1["a"]', "2" + "9" * 17 + '["a"]', "2" + "9" * 101 + '["a"]', '2٣["a"]', "3[]", "3/text,1", "31{}"],
    *['0["a"]', "0/text,1", "0/" + "n" * 300 + ",", '1{"a":1}', "12", '51["a"]', '511-["a"]', '59999999999-["a"]'],
    *['599999999999999-["a"]', '21-["a"]', '5-1-["a"]', "2[" * 50_000, '2["a",' + "[" * 100 + "]" * 100 + "]"],
    *['2["a",NaN]', '2["a",Infinity]', '2["a",1e999]', '2["a",' + "9" * 5_000 + "]", '2["a","\\ud800"]', "2['a']"],
    *['2["a",]', '2["a"]\x00'],
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:24])
def test_what_no_client_sends_is_refused(text: str) -> None:
    with pytest.raises(Violation):
        decoded(text)


@given(
    st.text(max_size=60) | st.from_regex(r"[0-6]([0-9]{1,3}-)?(/[a-z]{1,4},)?[0-9]{0,3}[\[\{\"].{0,30}", fullmatch=True)
)
def test_any_text_is_a_packet_or_a_violation(text: str) -> None:
    """Nothing else comes out: no other exception, and an event always has a name."""
    try:
        packet = decoded(text)
    except Violation:
        return
    if packet.kind == EVENT:
        assert isinstance(packet.data[0], str)


def test_attachments_fill_their_placeholders() -> None:
    packet = decoded('52-/voice,["frame",{"a":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]}]')
    assert packet.missing == 2
    packet.attach(b"zero")
    packet.attach(b"one")
    assert packet.data == ["frame", {"a": [b"one", b"zero"]}]
    assert not packet.missing


@pytest.mark.parametrize("number", ["-1", "1", "99999999999999999999", '"0"', "true", "0.0", "null", "[]"])
def test_a_placeholder_for_nothing_hands_nothing_over(number: str) -> None:
    packet = decoded('51-["a",{"_placeholder":true,"num":' + number + "}]")
    with pytest.raises(Violation):
        packet.attach(b"secret")


def test_a_placeholder_without_a_number_is_refused() -> None:
    with pytest.raises(Violation):
        decoded('51-["a",{"_placeholder":true}]').attach(b"secret")


def test_attachments_are_bounded_in_sum() -> None:
    packet = decoded('510-["a"]')
    packet.attach(b"x" * 600)
    with pytest.raises(Violation) as refusal:
        packet.attach(b"x" * 401)
    assert refusal.value.code == 1009


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(json_values))
def test_what_is_encoded_is_decoded_again(arguments: list[Any]) -> None:
    text = OutgoingPacket(EVENT, ["a", *arguments], "/text", 5).encode()
    packet = decoded(text)
    assert (packet.namespace, packet.id, packet.data) == ("/text", 5, ["a", *arguments])
    assert json.loads(text[text.index("[") :]) == packet.data
