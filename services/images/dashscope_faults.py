"""What DashScope's refusals of a drawing mean: from status and code to one of our errors.

Source: docs/pictures.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused

log = logging.getLogger(__name__)

_BLOCKED = ("DataInspectionFailed", "CustomRoleBlocked")
_BUSY = ("Throttling", "LimitRequests", "InternalError", "SystemError", "ModelServiceFailed", "ServiceUnavailable",
         "RequestTimeOut", "ModelUnavailable")  # fmt: skip
_ADVICE: Mapping[str, str] = {
    "InvalidApiKey": "DashScope does not know the key in DASHSCOPE_API_KEY / DashScope 不认识 DASHSCOPE_API_KEY",
    "Model.AccessDenied": "the account may not use this model: apply for it, or set SD_MODEL to another one"
    " / 账号无权使用该模型：请申请开通，或在 SD_MODEL 中换一个",
    "Arrearage": "the Alibaba Cloud account is in arrears / 阿里云账号已欠费",
    "ModelNotFound": "DashScope serves no model of this name: check SD_MODEL / 没有这个名称的模型：请检查 SD_MODEL",
}


def of_response(status: int, body: bytes) -> VendorError:
    """The error an HTTP answer other than 200 means."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = {}
    return of_code(told if isinstance(told, dict) else {}, status)


def of_code(told: Mapping[str, Any], status: int) -> VendorError:
    """The error of a `code`; the vendor's own words are logged, cut, and never told."""
    code, request_id = str(told.get("code") or ""), str(told.get("request_id") or "")
    log.warning("dashscope refused a drawing: %d code=%.80s request=%.80s", status, code, request_id)
    if advice := next((text for name, text in _ADVICE.items() if code.startswith(name)), ""):
        log.warning("dashscope: %s", advice)
    if code.startswith(_BLOCKED):
        return ContentBlocked("The model's provider does not want to draw this.")
    if code.startswith(_BUSY) or status in (408, 429) or (status >= 500 and not code):
        return VendorOverloaded("The model's provider is busy or broken.")
    if status in (401, 403):
        return VendorRefused("The model's provider does not let this server use this model.")
    if status >= 500:
        return VendorOverloaded("The model's provider is busy or broken.")
    return VendorRefused("The model's provider refused the request.")
