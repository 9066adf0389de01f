"""What DashScope's error codes mean: a kind for us, a sentence for the user, one for the owner in two languages.

Source: docs/providers/qwen.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.providers import advice
from services.providers.advice import Advice
from services.providers.vendor_faults import FaultMap

log = logging.getLogger(__name__)

_PICTURE = "The model's provider could not read a picture."


def _no(told: str, english: str, chinese: str) -> Advice:
    return Advice(VendorRefused, english, chinese, told)


def _later(english: str, chinese: str) -> Advice:
    return Advice(VendorOverloaded, english, chinese, advice.BUSY)


def _blocked(english: str, chinese: str) -> Advice:
    return Advice(ContentBlocked, english, chinese, advice.BLOCKED)


_WRONG_KEY = _no(
    advice.KEY,
    "DashScope does not know the key in DASHSCOPE_API_KEY: copy it again from the console, and check that"
    " DASHSCOPE_BASE_URL is of the same region.",
    "DashScope 不认识 DASHSCOPE_API_KEY 中的密钥：请从控制台重新复制，并确认 DASHSCOPE_BASE_URL 与密钥属于同一地域。",
)
_NOT_OPENED = _no(
    advice.ACCESS,
    "The account may not use this model: open it in the Model Studio console, or take another one in QWEN_MODEL.",
    "账号无权使用该模型：请在百炼控制台开通，或在 QWEN_MODEL 中换一个模型。",
)
_NO_SUCH_MODEL = _no(
    advice.MODEL,
    "DashScope does not serve a model of this name in this region: check QWEN_MODEL.",
    "该地域没有这个名称的模型：请检查 QWEN_MODEL。",
)
_NO_SUCH_APP = _no(
    advice.MODEL,
    "DashScope does not know the application in APP_ID: copy its id again and check that it is published.",
    "DashScope 找不到 APP_ID 所指的应用：请重新复制应用 ID，并确认应用已发布。",
)
_NO_SUCH_WORKSPACE = _no(
    advice.ACCESS,
    "DashScope does not know the workspace in DASHSCOPE_WORKSPACE: copy its id again, or leave it empty.",
    "DashScope 找不到 DASHSCOPE_WORKSPACE 所指的业务空间：请重新复制其 ID，或留空。",
)
_BILL = _no(
    advice.ACCOUNT,
    "A bill of the Alibaba Cloud account is overdue: pay it in the billing console.",
    "阿里云账号有逾期账单：请在费用中心结清。",
)
_TOO_FAST = _later(
    "Too many requests for this model in a minute or a second: wait, or ask Alibaba Cloud for a higher limit.",
    "该模型的请求过于频繁：请稍候，或向阿里云申请提高限流额度。",
)
_TOO_MANY_TOKENS = _later(
    "Too many tokens for this model in a minute or a second: wait, or ask Alibaba Cloud for a higher limit.",
    "该模型每分钟（或每秒）的 Token 用量超限：请稍候，或向阿里云申请提高额度。",
)
_BROKEN = _later(
    "DashScope failed inside: nothing to do but wait; if it stays, look at Alibaba Cloud's status page.",
    "DashScope 内部出错：请稍候；若持续出现，请查看阿里云服务状态。",
)
_SLOW = _later(
    "DashScope did not finish in its own time limit: shorter questions or a faster model help.",
    "DashScope 在自身时限内未完成：请缩短问题，或换用更快的模型。",
)
_AWAY = _later(
    "The model cannot be reached inside DashScope now: wait, or name a stand-in in MODEL_CHAINS.",
    "该模型暂时不可用：请稍候，或在 MODEL_CHAINS 中指定后备模型。",
)
_APP_BROKE = _later(
    "A step of the application failed: test it in the Model Studio console, its plug-ins and knowledge bases too.",
    "应用中的某个步骤失败：请在百炼控制台中测试该应用及其插件、知识库。",
)
_BAD_REQUEST = _no(
    advice.REQUEST,
    "DashScope did not accept a parameter of the request: the log names it; the model may not take what was set.",
    "DashScope 不接受请求中的某个参数：日志中有其名称，该模型可能不支持所设的值。",
)
_BAD_PICTURE = _no(
    _PICTURE,
    "DashScope could not read a picture: below 10 MB, both sides 10 pixels or more, PNG, JPEG or WEBP is safe.",
    "DashScope 无法读取图片：请使用 10 MB 以内、边长不小于 10 像素的 PNG、JPEG 或 WEBP。",
)
_TOO_LARGE = _no(
    advice.LONG,
    "The request is too large for this model: lower MAX_HISTORY, or use a model with a longer window.",
    "请求对该模型来说过长：请调小 MAX_HISTORY，或换用上下文更长的模型。",
)
_UNSAFE = _blocked(
    "DashScope's safety review stopped the question or the answer: nothing to do here.",
    "DashScope 的内容安全审核拦截了问题或回答：服务器端无需处理。",
)
_FREE_ONLY = _no(
    advice.ACCOUNT,
    "The free quota of this model is used up: turn off “free tier only” in the console, or take another model.",
    "该模型的免费额度已用完：请在控制台关闭“仅使用免费额度”，或换用其他模型。",
)

ROWS: Mapping[str, Advice] = {
    "InvalidParameter": _BAD_REQUEST,
    "BadRequest": _BAD_REQUEST,
    "BadRequest.EmptyInput": _BAD_REQUEST,
    "BadRequest.EmptyParameters": _BAD_REQUEST,
    "BadRequest.EmptyModel": _BAD_REQUEST,
    "BadRequest.TooLarge": _TOO_LARGE,
    "InvalidURL": _no(
        advice.REQUEST,
        "The address does not fit the model: check that DASHSCOPE_BASE_URL ends in /api/v1 or /compatible-mode/v1.",
        "地址与模型不符：请确认 DASHSCOPE_BASE_URL 以 /api/v1 或 /compatible-mode/v1 结尾。",
    ),
    "UnsupportedOperation": _BAD_REQUEST,
    "DataInspectionFailed": _UNSAFE,
    "CustomRoleBlocked": _blocked(
        "A blocking rule of your own in Model Studio matched: change it in the console.",
        "命中了您在百炼中自定义的拦截规则：可在控制台修改。",
    ),
    "FaqRuleBlocked": _blocked(
        "A question rule of your own in Model Studio matched: change it in the console.",
        "命中了您在百炼中设置的问答干预规则：可在控制台修改。",
    ),
    "ClientDisconnect": _later("This server hung up: an answer was stopped.", "本服务器主动断开：回答已被停止。"),
    "Arrearage": _no(
        advice.ACCOUNT,
        "The Alibaba Cloud account is in arrears: top it up in the billing console.",
        "阿里云账号已欠费：请在费用中心充值。",
    ),
    "InvalidApiKey": _WRONG_KEY,
    "AccessDenied": _NOT_OPENED,
    "AccessDenied.Unpurchased": _no(
        advice.ACCESS,
        "Model Studio is not opened for this account: open it in the console, it costs nothing by itself.",
        "账号尚未开通百炼服务：请在控制台开通，开通本身免费。",
    ),
    "Model.AccessDenied": _NOT_OPENED,
    "App.AccessDenied": _no(
        advice.ACCESS,
        "The key may not use the application in APP_ID: both must be of the same workspace.",
        "密钥无权调用 APP_ID 所指的应用：两者须属于同一业务空间。",
    ),
    "InvalidApp": _NO_SUCH_APP,
    "Workspace.AccessDenied": _no(
        advice.ACCESS,
        "The key may not use the workspace in DASHSCOPE_WORKSPACE: make a key inside that workspace.",
        "密钥无权访问 DASHSCOPE_WORKSPACE 所指的业务空间：请在该空间内创建密钥。",
    ),
    "AllocationQuota.FreeTierOnly": _FREE_ONLY,
    "ModelNotFound": _NO_SUCH_MODEL,
    "WorkSpaceNotFound": _NO_SUCH_WORKSPACE,
    "RequestTimeOut": _SLOW,
    "UnsupportedMedia": _BAD_PICTURE,  # our name of status 415, which comes with many codes
    "Throttling": _TOO_FAST,
    "Throttling.RateQuota": _TOO_FAST,
    "LimitRequests": _TOO_FAST,
    "LimitBurstRate": _TOO_FAST,
    "Throttling.BurstRate": _later(
        "Requests grew too quickly: spread them out; DashScope limits growth as well as number.",
        "请求量增长过快：请平滑发送，DashScope 同时限制增速。",
    ),
    "Throttling.Concurrency": _later(
        "Too many requests at once: lower MAX_RUNNING_TURNS, or ask Alibaba Cloud for a higher limit.",
        "同时进行的请求过多：请调小 MAX_RUNNING_TURNS，或向阿里云申请提高并发。",
    ),
    "Throttling.AllocationQuota": _TOO_MANY_TOKENS,
    "InsufficientQuota": _TOO_MANY_TOKENS,
    "CommodityNotPurchased": _no(
        advice.ACCOUNT,
        "The service is not bought in this account: open it in the Model Studio console.",
        "账号未购买该服务：请在百炼控制台开通。",
    ),
    "PrepaidBillOverdue": _BILL,
    "PostpaidBillOverdue": _BILL,
    "InternalError": _BROKEN,
    "InternalError.Algo": _BROKEN,
    "InternalError.Timeout": _SLOW,
    "SystemError": _BROKEN,
    "ModelServiceFailed": _AWAY,
    "AppProcessFailed": _APP_BROKE,
    "InvokePluginFailed": _APP_BROKE,
    "RetrivalFailed": _APP_BROKE,
    "RewriteFailed": _APP_BROKE,
    "ModelUnavailable": _AWAY,
    "ServiceUnavailable": _AWAY,
}
"""By the vendor's own spelling. The compatible mode's `invalid_api_key` is `InvalidApiKey`, and so on."""

# Words of a message that say more than its code.
_WORDS: tuple[tuple[str, Advice], ...] = (
    ("free allocated quota exceeded", _FREE_ONLY),
    ("inappropriate content", _UNSAFE),
    ("datainspectionfailed", _UNSAFE),
    ("range of input length", _TOO_LARGE),
    ("required parameter(appid)", _NO_SUCH_APP),
    ("image length and width", _BAD_PICTURE),
    ("decode the image", _BAD_PICTURE),
)
_STATUSES = {
    401: _WRONG_KEY,
    402: ROWS["Arrearage"],
    403: _NOT_OPENED,
    404: _NO_SUCH_MODEL,
    408: _SLOW,
    409: _TOO_FAST,
    413: _TOO_LARGE,
    415: _BAD_PICTURE,
    425: _TOO_FAST,
    429: _TOO_FAST,
}


def explain(code: str, message: str = "", status: int = 0) -> Advice:
    """The row of an error: by words of its message, its code, its code's parts, its status.

    `status` is 0 where none is known.
    """
    message = message.lower()
    for words, row in _WORDS:
        if words in message:
            return row
    if status in (413, 415):  # comes with codes that say less
        return _STATUSES[status]
    parts = code.split(".")
    names = (code, parts[-1], *(".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)))
    for name in names:
        if found := _FOLDED.get(_folded(name)):
            return found
    return _STATUSES.get(status, _BROKEN if status >= 500 or not status else _BAD_REQUEST)


class DashScopeFaults(FaultMap):
    """Both modes' refusals; the owner's sentence goes to the log."""

    __slots__ = ()

    def of_event(self, frame: dict[str, object], status: int) -> VendorError:
        """The error told inside a stream of the native protocol, whose comments name the status."""
        code, message = str(frame.get("code") or ""), str(frame.get("message") or "")
        request_id = str(frame.get("request_id") or "")
        words = self.masked(message.encode())
        log.warning("%s broke a stream %d code=%.80s request=%.80s: %s", self.vendor, status, code, request_id, words)
        return self._error(status, (code, ""), message, None)

    def _error(self, status: int, codes: tuple[str, str], message: str, retry_after: float | None) -> VendorError:
        row = explain(codes[0] or codes[1], message, status)
        return self.refusal(row, retry_after)


def _folded(code: str) -> str:
    return code.replace("_", "").replace("-", "").lower()


_FOLDED = {_folded(code): row for code, row in ROWS.items()}
