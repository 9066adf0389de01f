"""What a failed task of DashScope's realtime recognition means, as data. Source: docs/providers/paraformer.md."""

from __future__ import annotations

import logging

from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.speech.meaning import Meaning

log = logging.getLogger(__name__)


_BUSY = "The recogniser's provider is busy or broken."

KEY = Meaning(
    VendorRefused,
    "The recogniser's provider did not accept this server's key.",
    "DashScope does not know the key in DASHSCOPE_API_KEY: copy it again, and check that DASHSCOPE_WEBSOCKET_URL is of"
    " the same region.",
    "DashScope 不认识 DASHSCOPE_API_KEY 中的密钥：请重新复制，并确认 DASHSCOPE_WEBSOCKET_URL 与密钥属于同一地域。",
)
_ACCESS = Meaning(
    VendorRefused,
    "The recogniser's provider does not let this server use this model.",
    "The account may not use this model of recognition: open it in the Model Studio console, or set ASR_MODEL.",
    "账号无权使用该语音识别模型：请在百炼控制台开通，或修改 ASR_MODEL。",
)
_ACCOUNT = Meaning(
    VendorRefused,
    "This server's account with the recogniser's provider is used up.",
    "The Alibaba Cloud account is in arrears, or its free volume is used up: see to it in the billing console.",
    "阿里云账号已欠费或免费额度已用完：请在费用中心处理。",
)
_MODEL = Meaning(
    VendorRefused,
    "The recogniser's provider does not serve this model.",
    "DashScope has no realtime model of this name in this region: check ASR_MODEL.",
    "该地域没有这个名称的实时语音识别模型：请检查 ASR_MODEL。",
)
_REQUEST = Meaning(
    VendorRefused,
    "The recogniser's provider refused the sound.",
    "DashScope did not accept the task: the model may not take this rate or language; the log has its code.",
    "DashScope 不接受该任务：模型可能不支持此采样率或语言，日志中有错误码。",
)
_TOO_FAST = Meaning(
    VendorOverloaded,
    _BUSY,
    "Too many recognitions at once or in a second: wait, or ask Alibaba Cloud for a higher limit.",
    "语音识别并发或频率超限：请稍候，或向阿里云申请提高额度。",
)
_TIMEOUT = Meaning(
    VendorTimeout,
    "The recogniser stopped waiting for sound.",
    "DashScope heard nothing for too long and ended the task.",
    "DashScope 长时间没有收到音频，任务已结束。",
)
_BROKEN = Meaning(
    VendorOverloaded,
    _BUSY,
    "DashScope's recognition failed inside: wait and speak again.",
    "DashScope 语音识别内部出错：请稍候再试。",
)

_BY_FIRST_PART = {
    "InvalidApiKey": KEY,
    "AccessDenied": _ACCESS,
    "Model": _ACCESS,
    "Workspace": _ACCESS,
    "Arrearage": _ACCOUNT,
    "AllocationQuota": _ACCOUNT,
    "CommodityNotPurchased": _ACCOUNT,
    "PrepaidBillOverdue": _ACCOUNT,
    "PostpaidBillOverdue": _ACCOUNT,
    "ModelNotFound": _MODEL,
    "WorkSpaceNotFound": _ACCESS,
    "InvalidParameter": _REQUEST,
    "BadRequest": _REQUEST,
    "UnsupportedOperation": _REQUEST,
    "CLIENT_ERROR": _REQUEST,
    "Throttling": _TOO_FAST,
    "LimitRequests": _TOO_FAST,
    "RequestTimeOut": _TIMEOUT,
}


def of_task(code: str, message: str) -> VendorError:
    """The error of `task-failed`. One code stands for waiting too long and for rubbish: its words tell them apart."""
    if code == "CLIENT_ERROR" and "timeout" in message.lower():
        return _error(_TIMEOUT)
    return _error(_BY_FIRST_PART.get(code.partition(".")[0], _BROKEN))


def of_handshake(status: int) -> VendorError:
    """The error of an upgrade that was refused."""
    log.warning("paraformer refused the handshake with %d", status)
    meanings = {401: KEY, 403: KEY, 404: _MODEL, 429: _TOO_FAST}
    return _error(meanings.get(status, _BROKEN))


def _error(meaning: Meaning) -> VendorError:
    log.warning("paraformer: %s", meaning.english)
    return meaning.error()
