"""Link recordings to actions, and keep them for as long as that kind of action demands.

Retention is the longest that any rule or link asks for (DESIGN section 5). Objects are locked
first and the row follows in the transaction of the link: a crash between both leaves a lock that
is too long, never one that is too short.
"""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from policies.identifiers import ActionId, Subject
from policies.rules.rules import Rulebook
from storage.catalogue.cases import cases
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import retention
from storage.catalogue.tables import ExhibitRow
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.recording import RecordingId
from storage.upkeep import legal_hold_sync
from storage.vault.objects import PARTS, ObjectStore, key_of, limit_lock_date


class LinkContext(Protocol):
    """Catalogue, object store and rulebook for linking, of an office or a centre."""

    catalogue: Catalogue
    objects: ObjectStore
    rulebook: Rulebook


def confirm_exhibit(context: LinkContext, exhibit: str, *, actor: str) -> ExhibitRow:
    """Confirm a proposed exhibit. Raises: NotFoundError, ConflictError, VaultError."""
    with context.catalogue.read() as session:
        row = cases.get_exhibit(session, exhibit)
    until = lock_recording(context, row.action_id, row.recording_id)
    with context.catalogue.write() as uow:
        confirmed = cases.confirm_exhibit(uow, exhibit, actor=actor)
        extend_retention(uow, confirmed, until, actor)
    # The action or its case may be under a hold: through the link it reaches this recording, and
    # the store is told once the link is committed.
    legal_hold_sync.sync_legal_holds(context.catalogue, context.objects, [confirmed.recording_id])
    return confirmed


def link_recording(
    context: LinkContext,
    action: ActionId,
    recording: str,
    *,
    actor: str,
    shown_from: datetime | None = None,
    shown_to: datetime | None = None,
) -> ExhibitRow:
    """Link a recording by hand. Raises: NotFoundError, ConflictError, VaultError."""
    until = lock_recording(context, action, recording)
    with context.catalogue.write() as uow:
        linked = cases.link_by_hand(
            uow, action, recording, shown_from=shown_from, shown_to=shown_to, actor=actor
        )
        extend_retention(uow, linked, until, actor)
    legal_hold_sync.sync_legal_holds(context.catalogue, context.objects, [linked.recording_id])
    return linked


def lock_recording(context: LinkContext, action: ActionId, recording: str) -> datetime:
    """Lock a recording's objects for as long as it is kept once linked; return until when.

    Raises: NotFoundError, DestroyedError, VaultError.
    """
    with context.catalogue.read() as session:
        recordings.get_present_recording(session, recording)
        # Asked as if the link stood already: the lock comes before it.
        why = retention.explain_retention(
            session, context.rulebook, [recording], context.catalogue.now(), assuming=action
        )[recording]
    for part in PARTS:
        context.objects.lock(key_of(RecordingId(UUID(recording)), part), limit_lock_date(why.until))
    return why.until


def extend_retention(uow: UnitOfWork, exhibit: ExhibitRow, until: datetime, actor: str) -> None:
    """Extend the recording's retention in the catalogue to the lock date of its objects."""
    reason = Subject.of_action(exhibit.action_id)
    recordings.extend_retention(uow, exhibit.recording_id, until, actor=actor, reason=reason)
