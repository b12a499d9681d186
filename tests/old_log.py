"""A log as it was before entries had chains and sessions: version 1, written by the code of now."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text as sql

from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.acting import PersonActing
from storage.custody.entries.event import Event
from storage.signed import canonical

_leaf = Event.encode_leaf


def _version_1(event: Event, salt: bytes, text: bytes | None = None) -> bytes:
    told = canonical.decode(_leaf(event, salt, text))
    for name in ("chains", "heads"):
        del told[name]
    return canonical.encode(told | {"v": 1})


@contextmanager
def before_chains() -> Iterator[None]:
    """Write entries of version 1, and leave every chain alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Event, "encode_leaf", _version_1)
        patch.setattr("api.office.wiring.Office.log_rules", lambda _office: None)
        patch.setattr("storage.catalogue.cases.cases.judged_by", lambda _rulebook: {})
        patch.setattr(PersonActing, "to_json", lambda _actor: {})
        patch.setattr(UnitOfWork, "_check_session", lambda *_args: None)
        patch.setattr("storage.catalogue.people.sessions.is_logged", lambda *_args: True)
        yield


def forget_chains(catalogue: Catalogue) -> None:
    """Take away what was not there before revision 0010: chains, sessions and steps of jobs."""
    with catalogue._writer.begin() as connection:
        for name in ("log_chain", "log_chain_entry", "rulebook_text", "job_step"):
            connection.execute(sql(f"DROP TABLE {name}"))
        for table in ("job", "handed_in"):
            for name in ("session", "address"):
                connection.execute(sql(f"ALTER TABLE {table} DROP COLUMN {name}"))
        connection.execute(sql("ALTER TABLE job DROP COLUMN acted_at"))
        connection.execute(sql("UPDATE alembic_version SET version_num = '0009'"))
