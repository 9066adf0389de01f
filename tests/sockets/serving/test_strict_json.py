from __future__ import annotations

import json
from decimal import Decimal

import pytest

from sockets.serving import strict_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, "中", None, True]}, '{"a":[1,"中",null,true]}'),
        (float("nan"), "null"),
        ([float("inf"), -float("inf")], "[null,null]"),
        ("a\ud800b", '"a�b"'),
        ({"\udfff": "\U0001f600"}, '{"�":"😀"}'),
        ("\ud83d\ude00", '"😀"'),
        ({1: 2**70, "n": float("nan")}, '{"1":1180591620717411303424,"n":null}'),
    ],
)
def test_whatever_handlers_return_is_json_that_clients_can_read(value: object, text: str) -> None:
    assert strict_json.dumps(value, separators=(",", ":")) == text
    json.loads(text, parse_constant=pytest.fail)


def test_what_is_no_json_is_a_programmer_s_fault() -> None:
    with pytest.raises(TypeError):
        strict_json.dumps(Decimal(1))


def test_depth_is_what_counts_not_the_number_of_brackets() -> None:
    assert strict_json.loads("[" + "[],{}," * 500 + "0]")
    assert strict_json.loads("[" * 64 + "]" * 64)
    with pytest.raises(ValueError):
        strict_json.loads("[" * 65 + "0" + "]" * 65)
    with pytest.raises(ValueError):
        strict_json.loads(b'{"a":' * 70 + b"1" + b"}" * 70)
