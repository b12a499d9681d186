"""What comes up after a closing, by itself or by somebody's hand, and would give another verdict."""

import shutil
from collections.abc import Callable
from datetime import date

from sqlalchemy import text

from policies.rules.rulebook import SHIPPED, load_rulebook
from storage.catalogue.people import register
from tests.attacks.attack import Attack, Means
from tests.office import FIRST, SECOND, Desk, dock, segment


def dock_unrelated(desk: Desk) -> None:
    """Dock footage of another hour by one of its officers."""
    dock(desk, "bay-1", FIRST, segment(300, 12))
    desk.sweep()


def end_certificate(desk: Desk) -> None:
    """Enter that an officer's certificate had ended before the seizure."""
    with desk.office.catalogue.write() as uow:
        register.end_certificate(
            uow, SECOND.officer_no, on=date(2026, 11, 1), why="revoked", actor="system"
        )


def _sql(statement: str) -> Callable[[Desk], None]:
    def do(desk: Desk) -> None:
        with desk.office.catalogue._writer.begin() as connection:
            assert connection.execute(text(statement)).rowcount

    return do


def _harden_rules(desk: Desk) -> None:
    folder = desk.office.settings.home / "other-rules"
    shutil.copytree(SHIPPED, folder)
    for path in folder.glob("*.yaml"):
        said = path.read_text(encoding="utf-8")
        path.write_text(said.replace("severity: warns", "severity: blocks"), encoding="utf-8")
    desk.office.rulebook = load_rulebook(folder, desk.office.settings.county)


def _later(act: str, means: Means, do: Callable[[Desk], None]) -> Attack:
    """Return an attack that changes nothing of a closing; what differs stands beside it."""
    told = {"level": None, "check": "found later"}
    return Attack(asset="closing's verdict", act=act, means=means, do=do, **told)


# In this order: each is done upon what the ones before left.
ATTACKS = (
    _later("unrelated footage docked since", Means.NONE, dock_unrelated),
    _later("a certificate's end entered since", Means.NONE, end_certificate),
    _later("rules hardened since", Means.FILES, _harden_rules),
    _later("its links deleted", Means.SQL, _sql("DELETE FROM exhibit")),
    _later("its row put back to open", Means.SQL, _sql("UPDATE action SET status = 'open'")),
)
UNDETECTED = (
    """The readable half of a closing, edited by SQL, is what its page shows until the audit, or a
bundle's reader, holds it to its leaf.""",
)
