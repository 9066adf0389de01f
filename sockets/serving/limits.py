"""What one peer, and all of them together, may cost this worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServingLimits:
    """Seconds (`_s`), bytes and counts; each is enforced, none is advice.

    Attributes:
        ping_timeout_s: Silence after a ping that ends a session.
        send_stall_s: A peer that takes no byte for so long while some wait for it is cut.
        close_s: How long a closing connection may take to say goodbye before its descriptor is freed.
        max_message_bytes: One message, or one packet with all its attachments, once a namespace is joined; a
            namespace may take more in attachments (`max_attachment_bytes`).
        max_message_bytes_before_join: The same for peers of whom nothing is known yet.
        max_pending_bytes: Bytes that may wait for one peer.
        join_s: A session that is in no namespace for so long is closed.
        attachments_s: How long announced attachments are waited for.
        max_unjoined_per_address: Sessions of one address that have not joined a namespace yet.
        idle_s: How long a kept-alive HTTP connection may wait for its next request.
    """

    ping_interval_s: float = 25.0
    ping_timeout_s: float = 20.0
    send_stall_s: float = 20.0
    close_s: float = 2.0
    join_s: float = 10.0
    upgrade_s: float = 10.0
    attachments_s: float = 10.0

    max_message_bytes: int = 1_000_000
    max_message_bytes_before_join: int = 65_536
    max_fragments: int = 1_024
    max_pending_bytes: int = 1_000_000
    max_attachments: int = 10
    max_packets_per_post: int = 1_024
    max_unjoined_per_address: int = 500

    packets_per_s: float = 1_000.0
    packets_burst: float = 2_000.0
    control_frames_per_s: float = 20.0
    control_frames_burst: float = 100.0
    joins_per_s: float = 5.0
    joins_burst: float = 50.0

    max_connections: int = 10_000
    header_s: float = 15.0
    body_s: float = 30.0
    idle_s: float = 75.0
    send_s: float = 60.0
    max_header_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 32_000_000
