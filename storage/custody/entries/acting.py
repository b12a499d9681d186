"""A person as the actor of entries: with the session that proves who acts, and the address.

A session's id is the first 32 hex digits of the SHA-256 of its token: it names the session, and
opens nothing. Who acts is told once, where somebody is let in, and goes wherever the actor goes;
the unit of work writes it into each entry (docs/spec/custody-log.md section 1).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from policies.identifiers import Subject
from storage.custody.entries.event import format_timestamp

_ID = 32
SESSION = "session"  # the kind of subject that sessions are


class PersonActing(str):
    """`person:<id>`, acting in a session, from a client's address (`console` for a command).

    `until` is when the session expires. `asked_at` is for what is done later than it was asked
    for, by a job: when that was, whatever became of the session since. A session of None is one
    of before sessions stood in the log; only such work still has none.
    """

    __slots__ = ("address", "asked_at", "session", "until")

    session: str | None
    address: str
    until: datetime | None
    asked_at: datetime | None

    def __new__(
        cls,
        person: str,
        session: str | None,
        address: str,
        *,
        until: datetime | None = None,
        asked_at: datetime | None = None,
    ) -> Self:
        """Make it; `person` is `person:<id>`."""
        actor = super().__new__(cls, person)
        actor.session, actor.address, actor.until, actor.asked_at = (
            session,
            address,
            until,
            asked_at,
        )
        return actor

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Let it be copied, as rows that hold it are."""
        more = {"until": self.until, "asked_at": self.asked_at}
        return (str(self), self.session, self.address), more

    def to_json(self) -> dict[str, str]:
        """Return what an entry's details say of it."""
        fields = {"address": self.address}
        if self.session is not None:
            fields["session"] = self.session
        if self.asked_at is not None:
            fields["asked_at"] = format_timestamp(self.asked_at)
        return fields


def session_id(token_hash: str) -> str:
    """Return a session's id, of the SHA-256 of its token as hex."""
    return token_hash[:_ID]


def named_sessions(details: Mapping[str, Any]) -> set[str]:
    """Return the session that an entry's details name, if they do, as a subject."""
    session = details.get("session")
    return {Subject.of_session(session)} if isinstance(session, str) else set()
