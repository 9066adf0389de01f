"""Every key of the relay in Redis. Those of one partition share a hash slot, so that a cluster keeps them together.

| key | type | lives |
| --- | --- | --- |
| `<prefix>:{p<n>}:turn:<id>:log` | stream: the turn's entries | `REPLAY_TTL_S` after the end |
| `<prefix>:{p<n>}:turn:<id>:facts` | hash: `fence`, `owner`, `order` while it runs, `ended` | as long |
| `<prefix>:{p<n>}:leases` | sorted set: running turns by the end of their owner's lease, in ms | always |
| `<prefix>:{p<n>}:inbox:<worker>` | stream: what other workers ask of one | ten minutes |
| `<prefix>:{p0}:workers` | sorted set: workers by when they were last heard, in ms | always |
"""

from __future__ import annotations

from services.wire.redis_link import RedisLink

RUNNING_S = 3_600
"""Keys of a turn whose worker has gone are kept so long after their last renewal."""
INBOX_S = 600


class Keys:
    """Names keys. Never yields."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    def log(self, turn_id: str) -> str:
        return self._of(turn_id, "log")

    def facts(self, turn_id: str) -> str:
        return self._of(turn_id, "facts")

    def leases(self, partition: int) -> str:
        return self._link.key(partition, "leases")

    def ownership(self, turn_id: str) -> list[str]:
        """Where it is written whose turn it is: the leases of its partition, and its facts."""
        return [self.leases(self._link.partition(turn_id)), self.facts(turn_id)]

    def inbox(self, partition: int, worker: str) -> str:
        return self._link.key(partition, "inbox", worker)

    def workers(self) -> str:
        return self._link.key(0, "workers")

    def _of(self, turn_id: str, part: str) -> str:
        return self._link.key(self._link.partition(turn_id), "turn", turn_id, part)
