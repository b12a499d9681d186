"""Persons who act in tests without logging in: the log opens a session for each all the same."""

from policies.identifiers import Subject
from storage.catalogue.people.sessions import OPEN
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.acting import PersonActing
from storage.custody.entries.event import PremisType

_FAR = "9999-12-31T23:59:59.999999Z"  # tests move clocks by thousands of years


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
        chains=[Subject.of_session(session)],
        agent="",
        expires=_FAR,
    )
    return actor
