"""A migration to the newest tables in a process of its own, killed with -9 before a statement."""

import os
import signal
from datetime import UTC, datetime

from sqlalchemy import event

from storage.catalogue.unit_of_work import Catalogue

START = datetime(2026, 11, 23, tzinfo=UTC)


def main(url: str, statement: int) -> None:
    """Die before the statement of this number; 0 is the first after the lock was taken."""
    catalogue = Catalogue(url, lambda: START, os.urandom)
    left = statement

    @event.listens_for(catalogue._engine, "before_cursor_execute")
    def _die(_connection, _cursor, text, *_more):
        nonlocal left
        if "advisory" in text:
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    catalogue.migrate_tables(new=True)
    catalogue.close()
