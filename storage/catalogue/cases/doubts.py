"""Decisions of persons on doubts of an inspection: confirmed, or dismissed with a reason.

A doubt that nobody decided satisfies no blocking rule; a dismissed one counts no more; a
confirmed one is a fault. What the station saw stays in the signed record, whatever is said here.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import PersonId, Subject
from storage.catalogue.cases.tables import DoubtRow
from storage.catalogue.holds.concerns import check_uninvolved, of_recordings
from storage.catalogue.people.people import get_person
from storage.catalogue.reading.rule_facts import doubts_of
from storage.catalogue.recordings.recordings import by_id
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError, NotFoundError


def settle_doubt(
    uow: UnitOfWork,
    recording_id: str,
    kind: str,
    start_s: float,
    *,
    confirmed: bool,
    reason: str,
    person_id: PersonId,
    actor: str,
) -> DoubtRow:
    """Confirm or dismiss one doubt; said again, the last word holds.

    Nobody judges the footage that he made or handed in, or of an action that he took part in.
    Raises: NotFoundError (no such doubt), InvolvedError, ConflictError (a dismissal without a
    reason).
    """
    recording = by_id(uow.session, recording_id)
    check_uninvolved(of_recordings(uow.session, [recording.id]), person_id)
    if not any(doubt[2] == kind and doubt[0] == start_s for doubt in doubts_of(recording)):
        raise NotFoundError(what="doubt", id=f"{recording.id}/{kind}/{start_s}")
    if not confirmed and not reason.strip():
        raise ConflictError(problem="a dismissal needs a reason", recording=recording.id)
    query = select(DoubtRow).where(
        DoubtRow.recording_id == recording.id, DoubtRow.kind == kind, DoubtRow.start_s == start_s
    )
    settler_id = get_person(uow.session, person_id).id
    row = uow.session.scalar(query)
    if row is None:
        row = DoubtRow(id=uow.new_id(), recording_id=recording.id, kind=kind, start_s=start_s)
        uow.session.add(row)
    row.confirmed, row.reason, row.at = confirmed, reason, uow.at
    row.person_id = settler_id
    act = "doubt.confirm" if confirmed else "doubt.dismiss"
    uow.record(
        act, PremisType.VALIDATION, row, actor=actor, subject=Subject.of_recording(recording.id)
    )
    return row


def list_settled_doubts(session: Session, recording_id: str) -> list[DoubtRow]:
    """Return what was said of a recording's doubts, in order of place."""
    query = select(DoubtRow).where(DoubtRow.recording_id == recording_id)
    return list(session.scalars(query.order_by(DoubtRow.start_s, DoubtRow.kind)))
