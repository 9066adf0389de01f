"""What a vendor's code means, as its adapter's table says it."""

from __future__ import annotations

from typing import NamedTuple

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused, VendorTimeout

# What users read; general, and the same for every vendor.
BLOCKED = "The model's provider does not want to answer this."
BUSY = "The model's provider is busy or broken."
KEY = "The model's provider did not accept this server's key."
ACCESS = "The model's provider does not let this server use this model."
ACCOUNT = "This server's account with the model's provider is used up."
MODEL = "The model's provider does not serve this model."
REQUEST = "The model's provider refused the request."
LONG = "The conversation is too long for this model."

_TOLD: dict[type[VendorError], str] = {
    ContentBlocked: BLOCKED,
    VendorOverloaded: BUSY,
    VendorRefused: REQUEST,
    VendorTimeout: "The model did not answer in time.",
}


class Advice(NamedTuple):
    """One row: the error it becomes, and what the owner of this server can do about it.

    Attributes:
        english, chinese: One sentence; holds no word of the vendor's, no key and no address.
        told: What a user reads, where the general sentence of the kind says too little.
        wait_s: How long to wait before asking again, where less would be in vain.
    """

    kind: type[VendorError]
    english: str
    chinese: str
    told: str = ""
    wait_s: float | None = None

    def error(self, retry_after_s: float | None = None) -> VendorError:
        """The error, with the wait the vendor asked for where asking again makes sense."""
        wait_s = self.wait_s if retry_after_s is None else retry_after_s
        return self.kind(
            self.told or _told(self.kind),
            retry_after_s=wait_s if self.kind.retryable else None,
            advice=(self.english, self.chinese),
        )


def _told(kind: type[VendorError]) -> str:
    return next(sentence for base, sentence in _TOLD.items() if issubclass(kind, base))
