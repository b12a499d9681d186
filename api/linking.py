"""Link recordings to actions, and keep them for as long as that kind of action demands.

Retention is the longest that any rule or link asks for (DESIGN section 5). Objects are locked
first and the row follows in the transaction of the link: a crash between both leaves a lock that
is too long, never one that is too short.
"""

from datetime import datetime
from uuid import UUID

from api.wiring import Office
from policies.retention import retain_until
from policies.stages import ActionKind
from storage.catalogue import cases, recordings
from storage.catalogue.tables import ExhibitRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.recording import RecordingId
from storage.vault.objects import PARTS, key_of


def confirm(office: Office, exhibit: str, *, actor: str) -> ExhibitRow:
    """Confirm a proposed exhibit. Raises: NotFoundError, ConflictError, VaultError."""
    with office.catalogue.read() as session:
        row = cases.exhibit(session, exhibit)
    until = _lock(office, row.action_id, row.recording_id)
    with office.catalogue.write() as uow:
        confirmed = cases.confirm_exhibit(uow, exhibit, actor=actor)
        _keep(uow, confirmed, until, actor)
    return confirmed


def link(
    office: Office,
    action: str,
    recording: str,
    *,
    actor: str,
    shown_from: datetime | None = None,
    shown_to: datetime | None = None,
) -> ExhibitRow:
    """Link a recording by hand. Raises: NotFoundError, ConflictError, VaultError."""
    until = _lock(office, action, recording)
    with office.catalogue.write() as uow:
        linked = cases.link_by_hand(
            uow, action, recording, shown_from=shown_from, shown_to=shown_to, actor=actor
        )
        _keep(uow, linked, until, actor)
    return linked


def _lock(office: Office, action: str, recording: str) -> datetime:
    with office.catalogue.read() as session:
        kind = ActionKind(cases.action(session, action).kind)
        row = recordings.by_id(session, recording)
    until = retain_until(office.rulebook, row.accessioned_at, kind=kind, already=row.retain_until)
    for part in PARTS:
        office.objects.lock(key_of(RecordingId(UUID(row.id)), part), until)
    return until


def _keep(uow: UnitOfWork, exhibit: ExhibitRow, until: datetime, actor: str) -> None:
    reason = f"action:{exhibit.action_id}"
    recordings.extend_retention(uow, exhibit.recording_id, until, actor=actor, reason=reason)
