"""Which duties a unit of work may have changed: their bases are counted on, in its transaction.

What was stored for a basis counts no more from then on (`duties.py` judges it anew). A table is
either in `CONCERNS`, by what leads from its rows to a case, a proceeding or the register, or no
requirement with a clock looks at it; a test holds every audited table to that.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect, select, update
from sqlalchemy.orm import Session

from policies.duties import EARLIEST
from storage.catalogue.cases.tables import (
    CasePartRow,
    DecisionRow,
    DocumentRow,
    MomentRow,
    ProceedingRow,
    ReviewRow,
    WaiverRow,
)
from storage.catalogue.engine.columns import Audited
from storage.catalogue.oversight.tables import DutyBasisRow
from storage.catalogue.people.tables import CertificateRow, TrainingRow
from storage.catalogue.tables import (
    ActionOfficerRow,
    ActionRow,
    CaseRow,
    ExhibitRow,
    PersonRow,
    RecordingRow,
)

CASE, ACTION, RECORDING, PROCEEDING, TOWNSHIP = (
    "case",
    "action",
    "recording",
    "proceeding",
    "township",
)
_REGISTER = (TOWNSHIP, None)  # any township: who works where is seen from all of them

# Each table's columns that name whom a row concerns, and what they name.
CONCERNS: dict[type[Any], dict[str, str]] = {
    CaseRow: {"id": CASE},
    ActionRow: {"case_id": CASE},
    ActionOfficerRow: {"action_id": ACTION},
    ExhibitRow: {"action_id": ACTION},
    MomentRow: {"action_id": ACTION},
    DocumentRow: {"case_id": CASE},
    CasePartRow: {"case_id": CASE},
    ReviewRow: {"case_id": CASE},
    DecisionRow: {"case_id": CASE},
    WaiverRow: {"case_id": CASE},
    ProceedingRow: {"id": PROCEEDING},
    PersonRow: {"township": TOWNSHIP},
    CertificateRow: {},
    TrainingRow: {},
    RecordingRow: {"id": RECORDING},
}
_REGISTERS = (PersonRow, CertificateRow, TrainingRow)
Concern = tuple[str, str | None]


def concerns(rows: Iterable[object]) -> set[Concern]:
    """Return whom rows that were just flushed concern, by what they name now and named before."""
    found: set[Concern] = set()
    for row in rows:
        if not isinstance(row, Audited) or not _counts(row):
            continue
        if isinstance(row, _REGISTERS):
            found.add(_REGISTER)
        for column, kind in CONCERNS.get(type(row), {}).items():
            history = inspect(row).attrs[column].history
            found |= {(kind, key) for key in (getattr(row, column), *history.deleted) if key}
    return found


def raise_versions(session: Session, found: set[Concern]) -> None:
    """Count on every basis that is concerned; one that is new gets its row."""
    if not found:
        return
    if _REGISTER in found:
        _count_on(session, DutyBasisRow.subject.startswith(f"{TOWNSHIP}:"))
    subjects = {f"{kind}:{key}" for kind, key in _resolved(session, found) if key is not None}
    # Under the writers' lock nobody else adds a row between the look and the insert.
    known = set(
        session.scalars(select(DutyBasisRow.subject).where(DutyBasisRow.subject.in_(subjects)))
    )
    if known:
        _count_on(session, DutyBasisRow.subject.in_(known))
    session.add_all(
        DutyBasisRow(subject=one, version=0, standard="", first=EARLIEST, until=EARLIEST)
        for one in sorted(subjects - known)
    )
    session.flush()


def _count_on(session: Session, which: Any) -> None:
    changed = {"version": DutyBasisRow.version + 1, "standard": ""}
    session.execute(
        update(DutyBasisRow).where(which).values(changed),
        execution_options={"synchronize_session": False},
    )


def _counts(row: Audited) -> bool:
    """Tell whether a change may matter: of a recording only when it came in, and only once linked.

    A recording that is new has no link yet; the link will count for itself.
    """
    if not isinstance(row, RecordingRow):
        return True
    history = inspect(row).attrs["accessioned_at"].history
    return bool(history.deleted)


def _resolved(session: Session, found: set[Concern]) -> set[Concern]:
    """Return the same with actions and recordings turned into their cases."""
    actions = {key for kind, key in found if kind == ACTION}
    recordings = {key for kind, key in found if kind == RECORDING}
    resolved = {one for one in found if one[0] not in {ACTION, RECORDING}}
    if recordings:
        linked = select(ExhibitRow.action_id).where(ExhibitRow.recording_id.in_(recordings))
        actions |= set(session.scalars(linked))
    if actions:
        cases = select(ActionRow.case_id).where(ActionRow.id.in_(actions))
        resolved |= {(CASE, case) for case in session.scalars(cases)}
    return resolved
