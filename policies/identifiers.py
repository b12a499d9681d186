"""Identifiers: ids of cases, actions, persons …, and the subjects that the log knows them by.

An id is a UUIDv7 as text, a station's the name that the office gave it. `RecordingId` stands in
`storage/recording.py`, since nothing below it makes one. How subjects chain entries together is
`storage/custody/entries/subjects.py`.
"""

from typing import NewType, Self
from uuid import UUID

CaseId = NewType("CaseId", str)
ActionId = NewType("ActionId", str)
PersonId = NewType("PersonId", str)
StationId = NewType("StationId", str)
HoldId = NewType("HoldId", str)


class Subject(str):
    """Name of something in the log: `<kind>:<id>`. Whoever acts (`person:…`) is named the same way.

    It is its text in rows, entries and JSON. Only the constructors here know how that is spelled:
    an entry under a misspelled name would be in nobody's chain.
    """

    __slots__ = ()

    @classmethod
    def of_kind(cls, kind: str, identifier: UUID | str) -> Self:
        """Subject of a kind that is known only as the program runs."""
        return cls(f"{kind}:{identifier}")

    @classmethod
    def of_account(cls, account_id: str) -> Self:
        """Subject of a login."""
        return cls(f"account:{account_id}")

    @classmethod
    def of_action(cls, action_id: ActionId) -> Self:
        """Subject of an action."""
        return cls(f"action:{action_id}")

    @classmethod
    def of_case(cls, case_id: CaseId) -> Self:
        """Subject of a case."""
        return cls(f"case:{case_id}")

    @classmethod
    def of_disposition(cls, disposition_id: str) -> Self:
        """Subject of a disposition."""
        return cls(f"disposition:{disposition_id}")

    @classmethod
    def of_draw(cls, draw_id: str) -> Self:
        """Subject of a draw for random checks."""
        return cls(f"draw:{draw_id}")

    @classmethod
    def of_hold(cls, hold_id: HoldId) -> Self:
        """Subject of a hold."""
        return cls(f"hold:{hold_id}")

    @classmethod
    def of_job(cls, job_id: str) -> Self:
        """Subject of a job."""
        return cls(f"job:{job_id}")

    @classmethod
    def of_key(cls, kid: str) -> Self:
        """Subject of a key, by its id (kid)."""
        return cls(f"key:{kid}")

    @classmethod
    def of_person(cls, person_id: PersonId) -> Self:
        """Subject of a person."""
        return cls(f"person:{person_id}")

    @classmethod
    def of_proceeding(cls, proceeding_id: str) -> Self:
        """Subject of a complaint, a reconsideration or a lawsuit."""
        return cls(f"proceeding:{proceeding_id}")

    @classmethod
    def of_recording(cls, recording_id: UUID | str) -> Self:
        """Subject of a recording."""
        return cls(f"recording:{recording_id}")

    @classmethod
    def of_session(cls, session: str) -> Self:
        """Subject of a login that was opened, by its id (storage/custody/entries/acting.py)."""
        return cls(f"session:{session}")

    @classmethod
    def of_source(cls, source_id: str) -> Self:
        """Subject of a recorder, terminal or room camera, by its opaque id (never its serial)."""
        return cls(f"source:{source_id}")

    @classmethod
    def of_station(cls, station_id: StationId) -> Self:
        """Subject of a station."""
        return cls(f"station:{station_id}")

    @classmethod
    def of_submission(cls, submission_id: UUID | str) -> Self:
        """Subject of a file that somebody handed in."""
        return cls(f"submission:{submission_id}")


SYSTEM = Subject("system")  # the office itself: who acts where nobody does, and what it all is


def split_subject(subject: str) -> tuple[str, str]:
    """Return a subject's kind and id: `case` and `<id>` of `case:<id>`; `system` has no id."""
    kind, _, identifier = subject.partition(":")
    return kind, identifier
