"""Persons who act in tests without logging in: the log opens a session for each all the same."""

from storage.catalogue.sessions import OPEN
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.acting import PersonActing, session_subject
from storage.custody.event import PremisType

_FAR = "2999-01-01T00:00:00.000000Z"


def acting(catalogue: Catalogue, person: str) -> PersonActing:
    """Return a person, by his id, acting in a session that is opened now."""
    with catalogue.write() as uow:
        return acting_in(uow, person)


def acting_in(uow: UnitOfWork, person: str) -> PersonActing:
    """Do as `acting` within a transaction."""
    session = uow.new_id().replace("-", "")
    actor = PersonActing(f"person:{person}", session, "console")
    uow.record(
        OPEN,
        PremisType.VALIDATION,
        actor=actor,
        subject=f"account:{person}",
        chains=[session_subject(session)],
        agent="",
        expires=_FAR,
    )
    return actor
