"""Which session a file is of: what it states of itself, and the one name that its populations carry.

Facts of a file enter, an `Identity` leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neurosparse.recordings.tables import BLANK


@dataclass(frozen=True)
class Identity:
    """What a file says it is; "" or None where it says nothing.

    Attributes
    ----------
    session_id, identifier, object_id, description, subject_id, species : str
    start, reference_time : datetime or None
        When the session began, and the moment that its times count from.
    """

    session_id: str = ""
    identifier: str = ""
    object_id: str = ""
    description: str = ""
    subject_id: str = ""
    species: str = ""
    start: datetime | None = None
    reference_time: datetime | None = None

    def session(self, stem: str) -> tuple[str, str]:
        """The session's name and where it is from: session_id, else identifier, else `stem`, the file's name.

        Placeholders ("nan", "none", "n/a", "unknown") name nothing and are passed over.
        """
        for source in ("session_id", "identifier"):
            name = getattr(self, source).strip()
            if name.lower() not in BLANK | {"unknown"}:
                return name, source
        return stem, "file name"

    @property
    def delay(self) -> float:
        """Seconds from the session's start to the moment that times count from; 0 where they are one."""
        if self.start is None or self.reference_time is None:
            return 0.0
        if (self.start.tzinfo is None) != (self.reference_time.tzinfo is None):
            return 0.0
        return (self.reference_time - self.start).total_seconds()

    def facts(self) -> Mapping[str, Any]:
        """What is stated, for provenance; empty fields left out."""
        stated = {
            "session_id": self.session_id,
            "identifier": self.identifier,
            "object_id": self.object_id,
            "session_description": self.description,
            "subject_id": self.subject_id,
            "session_start_time": "" if self.start is None else self.start.isoformat(),
            "timestamps_reference_time": self.reference_time.isoformat() if self.delay and self.reference_time else "",
        }
        return {name: value for name, value in stated.items() if value}
