"""Everything this server says no with: one tree, one code per thing a caller does differently.

    ChatError
    ├── Unauthenticated        unauthenticated      401
    ├── Forbidden              forbidden            403
    ├── NotFound               not_found            404
    ├── Conflict               conflict             409
    ├── InvalidRequest         invalid_request      400   names the field
    ├── TooLarge               too_large            413
    ├── UnsupportedMedia       unsupported_media    415
    ├── RateLimited            rate_limited         429   retryable
    ├── QuotaExceeded          quota_exceeded       402
    ├── ModelUnknown           model_unknown        404
    ├── ModelUnavailable       model_unavailable    503   retryable
    ├── VendorError                                        stops at the turn, never carries a vendor's words
    │   ├── VendorRefused      vendor_refused       502
    │   ├── VendorTimeout      vendor_timeout       504   retryable
    │   ├── VendorOverloaded   vendor_overloaded    503   retryable
    │   └── ContentBlocked     content_blocked      422
    ├── VoiceOverrun           voice_overrun        429   retryable
    ├── Interrupted            interrupted          503   retryable
    ├── ServerBusy             server_busy          503   retryable
    └── Internal               internal             500   retryable

A message is one sentence in the reader's language; the code is for programs. Chinese sentences stand in
`services/messages.py`, keyed by the same codes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ChatError(Exception):
    """A refusal that a client may read.

    Attributes:
        message: One sentence for a person; never a vendor's words, a key or an address.
        field: The offending input field, when there is one.
        retry_after_s: Seconds after which a retry may help, when known.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    def to_wire(self) -> dict[str, Any]:
        """The `error` object of PROTOCOL: `{code, message, retryable, field?, retry_after_s?}`."""
        wire: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        if self.field is not None:
            wire["field"] = self.field
        if self.retry_after_s is not None:
            wire["retry_after_s"] = self.retry_after_s
        return wire


class Unauthenticated(ChatError):
    """No credential, or one that is not (or no longer) valid."""

    code, http_status = "unauthenticated", 401


class Forbidden(ChatError):
    """Known, but not allowed to do this."""

    code, http_status = "forbidden", 403


class NotFound(ChatError):
    """Absent, or another user's: the two look the same on purpose."""

    code, http_status = "not_found", 404


class Conflict(ChatError):
    """The state does not allow it: a name that is taken, a conversation that is busy."""

    code, http_status = "conflict", 409


class InvalidRequest(ChatError):
    """A malformed request; `field` names the part at fault."""

    code, http_status = "invalid_request", 400


class TooLarge(ChatError):
    """More bytes, letters or pixels than the stated limit."""

    code, http_status = "too_large", 413


class UnsupportedMedia(ChatError):
    """Not a picture or sound this server reads."""

    code, http_status = "unsupported_media", 415


class RateLimited(ChatError):
    """Too many requests, or too many turns at once, for this user or address."""

    code, http_status, retryable = "rate_limited", 429, True


class QuotaExceeded(ChatError):
    """The account cannot cover the reservation this turn needs."""

    code, http_status = "quota_exceeded", 402


class ModelUnknown(ChatError):
    """No model of that id is served here."""

    code, http_status = "model_unknown", 404


class ModelUnavailable(ChatError):
    """The model is known, but its provider has no key or is resting after failures."""

    code, http_status, retryable = "model_unavailable", 503, True


class VendorError(ChatError):
    """A model vendor failed. Raised by adapters only, `from` the vendor's own exception.

    Attributes:
        advice: What the owner of this server can do about it, in English and in Chinese. For `./run doctor` and the
            log; a client never sees it.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
        advice: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message, field=field, retry_after_s=retry_after_s)
        self.advice = advice


class VendorRefused(VendorError):
    """The vendor said no; asking it again will not help (wrong key, arrears, bad parameters)."""

    code, http_status = "vendor_refused", 502


class VendorTimeout(VendorError):
    """The vendor did not connect, begin, or go on in time."""

    code, http_status, retryable = "vendor_timeout", 504, True


class VendorOverloaded(VendorError):
    """The vendor is busy or broken for now; another try may work."""

    code, http_status, retryable = "vendor_overloaded", 503, True


class ContentBlocked(VendorError):
    """The vendor's safety review refused the text."""

    code, http_status = "content_blocked", 422


class VoiceOverrun(ChatError):
    """Audio came faster than it could be taken."""

    code, http_status, retryable = "voice_overrun", 429, True


class Interrupted(ChatError):
    """The server stopped while the turn ran; what was kept is the partial answer."""

    code, http_status, retryable = "interrupted", 503, True


class ServerBusy(ChatError):
    """The server is draining or at its limit."""

    code, http_status, retryable = "server_busy", 503, True


class Internal(ChatError):
    """A fault of this server; the log has the story, the client only this."""

    code, http_status, retryable = "internal", 500, True


_SENTENCES: dict[type[ChatError], str] = {
    VendorRefused: "The model's provider refused the request.",
    VendorTimeout: "The model did not answer in time.",
    VendorOverloaded: "The model's provider is overloaded.",
    ContentBlocked: "The provider's safety review stopped the answer.",
    Interrupted: "The server stopped while it answered; what had been saved was kept.",
    ModelUnavailable: "The model was not available.",
}


def _all(root: type[ChatError]) -> dict[str, type[ChatError]]:
    found: dict[str, type[ChatError]] = {}
    for kind in root.__subclasses__():
        if "code" in vars(kind):
            found[kind.code] = kind
        found.update(_all(kind))
    return found


BY_CODE: dict[str, type[ChatError]] = _all(ChatError)
"""Every code a client can meet."""


def by_code(code: str) -> ChatError:
    """An error of which only the code was stored, with a general sentence."""
    kind = BY_CODE.get(code, Internal)
    return kind(_SENTENCES.get(kind, "The server failed while answering."))
