"""The status of a refusal where the older contracts name one."""

from __future__ import annotations

from services.errors import ChatError, ModelUnavailable, VendorError, VendorTimeout


def status_of(error: ChatError, status: int) -> int:
    """504 for a vendor that was too slow, 502 for one that failed in any other way, else what it is."""
    if isinstance(error, VendorTimeout):
        return 504
    return 502 if isinstance(error, VendorError | ModelUnavailable) else status
