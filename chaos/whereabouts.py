"""Which turns a worker runs, asked at the moment it is killed."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, select

from db.models import Turn


class Whereabouts:
    """Reads the database beside the server.

    A worker that replaces a dead one may have its name: the turns of the dead one are those whose fence has not grown.
    """

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, isolation_level="READ COMMITTED")
        self._orphans: set[tuple[str, int]] = set()

    def owner_of(self, pid: int) -> str:
        """The name under which a worker owns turns: of the folder's slot it holds; empty when it holds none yet."""
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = link.readlink()
            except OSError:
                continue
            if target.name.startswith("instance-") and target.suffix == ".lock":
                folder_id = (target.parent / "instance-id").read_text().strip()
                return f"{folder_id}:{target.stem.removeprefix('instance-')}"
        return ""

    def orphaned(self, owner: str) -> frozenset[str]:
        """The running turns of an owner that is killed now."""
        with self._engine.connect() as connection:
            mine = select(Turn.id, Turn.fence).where(Turn.status == "running", Turn.owner == owner)
            found = {(turn_id, fence) for turn_id, fence in connection.execute(mine)} - self._orphans
        self._orphans |= found
        return frozenset(turn_id for turn_id, _ in found)

    def close(self) -> None:
        self._engine.dispose()
