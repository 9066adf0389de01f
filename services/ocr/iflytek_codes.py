"""What the numbers of iFlytek's picture services mean. Source: docs/pictures.md."""

from __future__ import annotations

import logging

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused

log = logging.getLogger(__name__)

_BLOCKED = frozenset({10013, 10014, 10019, 10021, 10022})
_BUSY = frozenset(
    {10000, 10001, 10002, 10006, 10007, 10008, 10009, 10010, 10011, 10012, 10017, 10114, 10202, 10204, 10205, 10222}
    | {10700, 11202, 11203}
)
_ADVICE = {
    10105: "the key, the clock or the list of allowed addresses does not fit / 密钥、系统时间或 IP 白名单有误",
    10016: "the APPID has not opened this service, or used it up / APPID 未开通该服务，或用量已尽",
    10110: "the APPID has no licence for this service / APPID 没有该服务的授权",
    11200: "the APPID has not opened this service, or used it up / APPID 未开通该服务，或用量已尽",
    11201: "today's volume is used up / 今日用量已尽",
}


def fault_of(service: str, code: int, sid: str) -> VendorError:
    """The error of a number; the vendor asks for its `sid`, which the log keeps."""
    log.warning("%s answered code=%d sid=%.80s", service, code, sid)
    if code in _ADVICE:
        log.warning("%s: %s", service, _ADVICE[code])
    if code in _BLOCKED:
        return ContentBlocked("The provider's safety review refused the picture or the answer.")
    if code in _BUSY or (code == 10110 and service.startswith("spark")):  # elsewhere it means that a licence is missing
        return VendorOverloaded("The reader's provider is busy or broken.")
    return VendorRefused("The reader's provider refused the request.")
