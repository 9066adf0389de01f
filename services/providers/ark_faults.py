"""What Ark's error codes mean: one of our errors, a sentence for the user, one for the owner in two languages.

Source: docs/providers/ark.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.providers import advice
from services.providers.advice import Advice
from services.providers.vendor_faults import FaultMap


class ContextBusy(VendorOverloaded):
    """The context still works on a call before; nothing of this one was taken."""


class ContextLost(VendorRefused):
    """The context has expired, or was never there."""


_BLOCKED = Advice(
    ContentBlocked,
    "Ark's safety review refused the text or picture; nothing is wrong with this server.",
    "方舟的内容安全审核拒绝了这段文字或图片；服务器本身没有问题。",
    advice.BLOCKED,
)
_OVERDUE = Advice(
    VendorRefused,
    "The Volcengine account is overdue: pay in its billing centre.",
    "火山引擎账号已欠费：请在费用中心充值。",
    advice.ACCOUNT,
)
_NOT_OPEN = Advice(
    VendorRefused,
    "The model is not opened for this account: open it in the Ark console.",
    "账号尚未开通该模型：请在方舟控制台的开通管理页开通。",
    advice.ACCESS,
)
_TOO_FAST = Advice(
    VendorOverloaded,
    "Ark's limit of requests or tokens a minute is reached: ask for a higher one, or add a stand-in to MODEL_CHAINS.",
    "已达到方舟的每分钟请求数或 token 数上限：请申请提高配额，或在 MODEL_CHAINS 中加一个备用模型。",
    advice.BUSY,
)
_BUSY = Advice(
    VendorOverloaded,
    "Ark is overloaded; it is asked again by itself, and a stand-in in MODEL_CHAINS helps when it lasts.",
    "方舟服务繁忙；服务器会自动重试，若持续不断，可在 MODEL_CHAINS 中加一个备用模型。",
    advice.BUSY,
)
_SPENT = Advice(
    VendorRefused,
    "The free quota or the spending limit set in the Ark console is used up: raise it there.",
    "免费额度或在方舟控制台设置的限额已用完：请到控制台调整。",
    advice.ACCOUNT,
)

ROWS: Mapping[str, Advice] = {
    "MissingParameter": Advice(
        VendorRefused,
        "Ark misses a field in the request; please report it, for it is a fault of this server.",
        "方舟认为请求缺少字段；这是本服务器的缺陷，请报告。",
        advice.REQUEST,
    ),
    "InvalidParameter": Advice(
        VendorRefused,
        "Ark does not accept a value, often a setting the model does not have: look at the log for its name.",
        "方舟不接受请求中的某个值，多半是该模型不支持的参数：请在日志中查看名称。",
        advice.REQUEST,
    ),
    "OutofContextError": Advice(
        VendorRefused,
        "The conversation is longer than the model reads: lower MAX_HISTORY, or name the endpoint after its model.",
        "对话超过了模型的上下文长度：请调小 MAX_HISTORY，或在 ARK_ENDPOINT 中用模型名为接入点命名。",
        advice.LONG,
    ),
    "SensitiveContentDetected": _BLOCKED,
    "InputTextSensitiveContentDetected": _BLOCKED,
    "InputImageSensitiveContentDetected": _BLOCKED,
    "OutputTextSensitiveContentDetected": _BLOCKED,
    "InputTextRiskDetection": _BLOCKED,
    "InvalidEndpoint.ClosedEndpoint": Advice(
        VendorRefused,
        "The endpoint is stopped: start it in the Ark console, or name another in ARK_ENDPOINT.",
        "推理接入点已停用：请在方舟控制台启用，或在 ARK_ENDPOINT 中换一个。",
        advice.MODEL,
    ),
    "AuthenticationError": Advice(
        VendorRefused,
        "Ark does not accept ARK_API_KEY: copy it anew from the Ark console of the region ARK_BASE_URL names.",
        "方舟不接受 ARK_API_KEY：请从 ARK_BASE_URL 所在地域的方舟控制台重新复制。",
        advice.KEY,
    ),
    "AccountOverdueError": _OVERDUE,
    "OperationDenied.ServiceOverdue": _OVERDUE,
    "InvalidAccountStatus": Advice(
        VendorRefused,
        "The Volcengine account is not in order: look at its state in the console.",
        "火山引擎账号状态异常：请到控制台查看。",
        advice.ACCOUNT,
    ),
    "OperationDenied.ServiceNotOpen": _NOT_OPEN,
    "OperationDenied.InvalidState": Advice(
        ContextBusy,
        "Ark still works on this conversation's last turn; the turn is asked without its context when that lasts.",
        "方舟仍在处理该对话的上一轮；若持续如此，服务器会不用上下文缓存直接提问。",
        advice.BUSY,
    ),
    "AccessDenied": Advice(
        VendorRefused,
        "The key may not use this endpoint: give it access in the Ark console.",
        "这个密钥无权使用该接入点：请在方舟控制台授权。",
        advice.ACCESS,
    ),
    "InvalidEndpointOrModel.NotFound": Advice(
        VendorRefused,
        "Ark does not know what ARK_ENDPOINT names, or the key may not use it: copy the id (ep-...) from the console.",
        "方舟找不到 ARK_ENDPOINT 所写的接入点，或密钥无权使用：请从控制台复制接入点 ID（ep-…）。",
        advice.MODEL,
    ),
    "InvalidEndpointOrModel.ModelIDAccessDisabled": Advice(
        VendorRefused,
        "This account may not ask by model name: make an endpoint in the Ark console, name it in ARK_ENDPOINT.",
        "账号不允许用模型名调用：请在方舟控制台创建接入点，并写入 ARK_ENDPOINT。",
        advice.MODEL,
    ),
    "ModelNotOpen": _NOT_OPEN,
    "RateLimitExceeded": _TOO_FAST,
    "ModelAccountRpmRateLimitExceeded": _TOO_FAST,
    "ModelAccountTpmRateLimitExceeded": _TOO_FAST,
    "APIAccountRpmRateLimitExceeded": _TOO_FAST,
    "AccountRateLimitExceeded": _TOO_FAST,
    "RequestBurstTooFast": _TOO_FAST,
    "ServerOverloaded": _BUSY,
    "InflightBatchsizeExceeded": _BUSY,
    "QuotaExceeded": _SPENT,
    "SetLimitExceeded": _SPENT,
    "InternalServiceError": _BUSY,
}
"""By the beginning of a code; the longest that fits counts."""


def row_of(code: str) -> Advice | None:
    """What is known of a code of Ark's; None when it is not in the table."""
    begins = [known for known in ROWS if code.startswith(known)]
    return ROWS[max(begins, key=len)] if begins else None


class ArkFaults(FaultMap):
    """Ark's answers other than 200, and errors inside its streams."""

    def _error(self, status: int, codes: tuple[str, str], message: str, retry_after: float | None) -> VendorError:
        code = codes[0]
        row = row_of(code)
        # Ark does not document how it says that a context has expired; it must name it in any case.
        names_context = status in (400, 404) and "context" in f"{code} {message}".lower()
        if names_context and (row is None or code.startswith("InvalidParameter")):
            return ContextLost(advice.REQUEST)
        if row is None:
            return super()._error(status, codes, message, retry_after)
        return self.refusal(row, retry_after)
