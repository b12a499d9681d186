"""Versions of duty bases, raised in the transaction that may have changed their duties.

What was stored for a basis counts no more from then on (`duties.py` judges it anew). A table is
either in `CONCERNS`, by what leads from its rows to a case, a proceeding or the register, or no
requirement with a clock looks at it; a test holds every audited table to that.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect, select, update
from sqlalchemy.orm import Session

from policies.duties import EARLIEST
from policies.identifiers import Subject
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


def collect_concerns(rows: Iterable[object]) -> set[Concern]:
    """Return the duty bases that flushed rows touch, by their present and former references."""
    row_concerns: set[Concern] = set()
    for row in rows:
        if not isinstance(row, Audited) or not _affects_duties(row):
            continue
        if isinstance(row, _REGISTERS):
            row_concerns.add(_REGISTER)
        for column, kind in CONCERNS.get(type(row), {}).items():
            history = inspect(row).attrs[column].history
            row_concerns |= {(kind, key) for key in (getattr(row, column), *history.deleted) if key}
    return row_concerns


def raise_versions(session: Session, row_concerns: set[Concern]) -> None:
    """Count on every basis that is concerned; one that is new gets its row."""
    if not row_concerns:
        return
    if _REGISTER in row_concerns:
        _count_on(session, DutyBasisRow.subject.startswith(f"{TOWNSHIP}:"))
    subjects = {
        Subject.of_kind(kind, key)
        for kind, key in _resolve_cases(session, row_concerns)
        if key is not None
    }
    # Under the writers' lock nobody else adds a row between the look and the insert.
    stored_subjects = set(
        session.scalars(select(DutyBasisRow.subject).where(DutyBasisRow.subject.in_(subjects)))
    )
    if stored_subjects:
        _count_on(session, DutyBasisRow.subject.in_(stored_subjects))
    session.add_all(
        DutyBasisRow(subject=subject, version=0, standard="", first=EARLIEST, until=EARLIEST)
        for subject in sorted(subjects - stored_subjects)
    )
    session.flush()


def _count_on(session: Session, condition: Any) -> None:
    changed = {"version": DutyBasisRow.version + 1, "standard": ""}
    session.execute(
        update(DutyBasisRow).where(condition).values(changed),
        execution_options={"synchronize_session": False},
    )


def _affects_duties(row: Audited) -> bool:
    """Whether a change can affect duties: of a recording only its accession, once it is linked.

    A recording that is new has no link yet; the link will count for itself.
    """
    if not isinstance(row, RecordingRow):
        return True
    history = inspect(row).attrs["accessioned_at"].history
    return bool(history.deleted)


def _resolve_cases(session: Session, row_concerns: set[Concern]) -> set[Concern]:
    """Return the same with actions and recordings turned into their cases."""
    actions = {key for kind, key in row_concerns if kind == ACTION}
    recordings = {key for kind, key in row_concerns if kind == RECORDING}
    resolved = {concern for concern in row_concerns if concern[0] not in {ACTION, RECORDING}}
    if recordings:
        linked = select(ExhibitRow.action_id).where(ExhibitRow.recording_id.in_(recordings))
        actions |= set(session.scalars(linked))
    if actions:
        cases = select(ActionRow.case_id).where(ActionRow.id.in_(actions))
        resolved |= {(CASE, case) for case in session.scalars(cases)}
    return resolved
