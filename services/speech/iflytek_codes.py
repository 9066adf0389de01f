"""What the numbers of iFlytek's dictation mean, as data. Source: docs/providers/iflytek-asr.md."""

from __future__ import annotations

from collections.abc import Mapping

from services.errors import VendorOverloaded, VendorRefused
from services.speech.meaning import Meaning

_KEY = "The recogniser's provider did not accept this server's key."
_ACCOUNT = "This server's account with the recogniser's provider is used up."
_BUSY = "The recogniser's provider is busy or broken."
_REQUEST = "The recogniser's provider refused the sound."


def _busy(english: str, chinese: str) -> Meaning:
    return Meaning(VendorOverloaded, _BUSY, english, chinese)


_APP = Meaning(
    VendorRefused,
    _KEY,
    "iFlytek does not know IFLYTEK_APP_ID: copy it anew from the vendor's console.",
    "讯飞不认识 IFLYTEK_APP_ID：请从讯飞控制台重新复制。",
)
_SPENT = Meaning(
    VendorRefused,
    _ACCOUNT,
    "Dictation is not opened for IFLYTEK_APP_ID, or its volume is used up: open or buy it in the vendor's console.",
    "IFLYTEK_APP_ID 未开通语音听写，或用量已耗尽：请在讯飞控制台开通或购买。",
)
_WRONG = Meaning(
    VendorRefused,
    _REQUEST,
    "iFlytek did not accept a frame: report this as a fault of Parley, with the number in the log.",
    "讯飞不接受所发送的数据：请附上日志中的错误码，作为 Parley 的缺陷反馈。",
)
_BROKEN = _busy("iFlytek failed inside: wait and speak again.", "讯飞内部出错：请稍候再试。")
_FULL = _busy(
    "iFlytek has no free licence for another session now: wait, or raise the number in the vendor's console.",
    "讯飞并发授权已满：请稍候，或在讯飞控制台提高并发。",
)

OVER = frozenset({10014, 10019, 10101, 10114, 10200})
"""The session has ended, for its length, for silence or a wait: what was heard is good, another one may begin."""

CODES: Mapping[int, Meaning] = {
    10005: _APP,
    10313: _APP,
    10010: _FULL,
    10110: _FULL,
    11200: _SPENT,
    11203: _SPENT,
    11201: Meaning(
        VendorRefused,
        _ACCOUNT,
        "Today's limit of IFLYTEK_APP_ID is used up: wait until midnight in China, or raise it in the console.",
        "IFLYTEK_APP_ID 今日用量已达上限：请等到零点，或在讯飞控制台提高额度。",
    ),
    11202: _busy(
        "IFLYTEK_APP_ID begins more sessions in a second than it may: wait a second.",
        "IFLYTEK_APP_ID 每秒会话数超限：请稍等一秒。",
    ),
    **dict.fromkeys((10222, 10404, 10500, 10600, 10700), _BROKEN),
    **dict.fromkeys(
        (10006, 10007, 10009, 10043, 10044, 10047, 10109, 10139, 10160, 10161, 10163, 10165, 10303, 10317), _WRONG
    ),
}

UNKNOWN = _busy(
    "iFlytek reported a fault that is not known here: look into the log for its number.",
    "讯飞报告了未知错误：请在日志中查看错误码。",
)
SECRET = Meaning(
    VendorRefused,
    _KEY,
    "iFlytek found the signature wrong: copy IFLYTEK_API_KEY and IFLYTEK_API_SECRET anew from the vendor's console.",
    "讯飞验证签名失败：请从讯飞控制台重新复制 IFLYTEK_API_KEY 与 IFLYTEK_API_SECRET。",
)
CLOCK = Meaning(
    VendorRefused,
    "This server's clock is wrong, so the recogniser's provider refused it; its owner must set it.",
    "This server's clock is more than five minutes off, so iFlytek refuses its signature: set the clock.",
    "本服务器的时钟误差超过五分钟，讯飞因此拒绝签名：请校准时钟。",
)
"""Refusals of the signed handshake."""


def meaning_of(code: int) -> Meaning:
    """The row of a number other than 0."""
    return CODES.get(code, UNKNOWN)
