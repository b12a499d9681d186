"""Destruction (销毁): what a disposition decided is done, recording by recording, resumably.

Before every step that cannot be taken back, rules, links, holds, locks and the clock are asked
again, under the writers' lock. One transaction is the point of no return: it deletes the envelope
in the store, empties the catalogue's copy and leaves the tombstone, so that no key opens the
payload any more (crypto-shredding). A hold comes before it, and wins; or after it, and is refused.
Payload, record and whatever was derived go afterwards, and are looked for once more.

Dies after `begun`: nothing is lost. Dies after `envelope-deleted`: the catalogue still has the
envelope; the next call goes on, or puts it back if something keeps the recording by then. Dies
later: the next call removes what is left. At the end stands a certificate under the centre's keys.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from policies.facts.facts_json import to_plain
from policies.identifiers import Subject
from policies.retention import disposition as policy
from policies.retention.disposition import Bounds, DispositionState, ItemState
from policies.retention.retention import Reason, judge_retention
from policies.rules.rules import Rulebook
from policies.time import trusted_time
from policies.time.trusted_time import ClockAnswer, ClockDoubt
from storage.catalogue.jobs import recording_upkeep
from storage.catalogue.log import custody_log
from storage.catalogue.people import people
from storage.catalogue.proofs.proven_rows import require_footage
from storage.catalogue.recordings import recordings, uploads
from storage.catalogue.retention import dispositions, retention
from storage.catalogue.retention.tables import DispositionItemRow, DispositionRow, TombstoneRow
from storage.catalogue.stations.tables import UploadRow
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Attempt, Catalogue, UnitOfWork, View
from storage.custody.entries.event import Outcome, PremisType
from storage.digest import Digest
from storage.errors import LiuhenError, LogClockError, ObjectMissingError, VaultError
from storage.recording import RecordingId
from storage.signed.signing import SigningKey, sign_document
from storage.upkeep import legal_hold_sync
from storage.vault.objects import (
    ENVELOPE,
    PARTS,
    RENDITION,
    ObjectStore,
    key_of,
    limit_lock_date,
    strange_versions,
)

CERTIFICATE_DOMAIN = "destruction-certificate/v1"


class ClockDoubtedError(LiuhenError):
    """Our clock is not trusted: nothing is destroyed. The code is `clock-` and a ClockDoubt."""

    retryable = True

    def __init__(self, doubt: ClockDoubt, readings: Sequence[ClockAnswer]) -> None:
        """Keep what the other clocks said: by how many seconds we are ahead of each."""
        super().__init__(
            ahead_s={reading.source: round(reading.ahead_s, 1) for reading in readings}
        )
        self.code = f"clock-{doubt.value}"


@dataclass(frozen=True, slots=True)
class Store:
    """The state of a recording's objects in the store: the longest lock, and any hold."""

    locked: datetime | None
    on_hold: bool


@dataclass(slots=True)
class Destruction:
    """Executes dispositions. `trusted` asks other clocks."""

    catalogue: Catalogue
    objects: ObjectStore
    rulebook: Rulebook
    bounds: Bounds
    key: SigningKey
    trusted: Callable[[], Sequence[ClockAnswer]]
    on_step: Callable[[str], None] = lambda _step: None

    def execute(self, disposition_id: str, *, actor: str) -> dict[str, int]:
        """Destroy what may be destroyed; return how many items ended in which state.

        Called again after a crash it goes on; a disposition that was withdrawn, or is done, stays
        as it is. Raises: NotFoundError, DispositionError (not yet), ClockDoubtedError,
        RowsDifferError, VaultError (a retryable one may pass); what was done before stays done.
        """
        with self.catalogue.read() as session:
            row = dispositions.get_disposition(session, disposition_id)
            recording_ids = [
                item_row.recording_id for item_row in dispositions.list_items(session, row.id)
            ]
        if DispositionState(row.state) is DispositionState.APPROVED:
            try:
                for recording in recording_ids:
                    self._destroy_recording(row.id, recording, actor)
            except ClockDoubtedError as error:
                with suppress(LogClockError):  # then the log takes no entry either
                    self._log_stop(row.id, error, actor)
                raise
            self._certify_disposition(row.id, actor)
        with self.catalogue.read() as session:
            states = [item_row.state for item_row in dispositions.list_items(session, row.id)]
        return {state: states.count(state) for state in sorted(set(states))}

    def _destroy_recording(self, disposition: str, recording: str, actor: str) -> None:
        """Destroy one recording step by step; each step first reads how far it has come."""
        self._begin_destruction(disposition, recording, actor)
        self._shred_envelope(disposition, recording, actor)
        self._remove_objects(disposition, recording, actor)

    def _begin_destruction(self, disposition: str, recording: str, actor: str) -> None:
        # Before the writers' turn: other clocks and a store may take seconds to answer.
        readings, store = self.trusted(), store_of(self.objects, recording)
        strange = self._describe_strangers(recording)
        with self.catalogue.write() as uow:
            item_row = dispositions.get_item(uow.session, disposition, recording)
            if item_row.state != ItemState.PENDING:
                return
            # First, before any row is believed: an edited hold or date would let the footage go.
            self._as_logged(uow, disposition, recording, "recording.destroy-begin", actor)
            self._require_permission(uow, disposition)
            self._require_trusted_clock(uow, readings)
            if reasons := self._find_reasons(uow, recording, store):
                self._keep_recording(uow, item_row, reasons, actor)
            else:
                act = "recording.destroy-begin"
                dispositions.move_item(uow, item_row, ItemState.BEGUN, act, actor=actor, **strange)
        self.on_step("begun")

    def _shred_envelope(self, disposition: str, recording: str, actor: str) -> None:
        """Pass the point of no return, or turn back."""
        # Asked anew: days may lie between the first step and this one. A lock that grows after this
        # question makes the deletion below fail.
        readings, store = self.trusted(), store_of(self.objects, recording)
        strange = self._describe_strangers(recording)
        with self.catalogue.write() as uow:
            item_row = dispositions.get_item(uow.session, disposition, recording)
            if item_row.state != ItemState.BEGUN:
                return
            self._as_logged(uow, disposition, recording, "recording.destroy", actor)
            row = recordings.by_id(uow.session, recording)
            if reasons := self._find_reasons(uow, recording, store):
                # A call before this one may have died when the envelope was gone: it has to open
                # again.
                self._put_back(row)
                self._keep_recording(uow, item_row, reasons, actor)
            else:
                # A doubted clock stops a destruction; it never stops the keeping above.
                self._require_trusted_clock(uow, readings)
                # The store first, then the commit: no tombstone stands while an envelope still
                # opens the payload, and a kill between leaves the catalogue's copy to go on from.
                self.objects.delete(_object_key(recording, ENVELOPE), uow.at)
                self.on_step("envelope-deleted")
                self._leave_tombstone(uow, item_row, row, actor, strange)
        if reasons:
            # An envelope that was put back bears no hold yet.
            legal_hold_sync.sync_legal_holds(self.catalogue, self.objects, [recording])
            return
        self.on_step("shredded")

    def _remove_objects(self, disposition: str, recording: str, actor: str) -> None:
        """Remove what no key opens any more, and see that it is gone."""
        with self.catalogue.read() as session:
            if dispositions.get_item(session, disposition, recording).state != ItemState.SHREDDED:
                return
            keys = keys_of(session, recording)
        for key in keys:
            self.objects.delete(key, self.catalogue.now())
            self.on_step(f"{key.rpartition('/')[2]}-deleted")
        self._see_gone(keys)
        with self.catalogue.write() as uow:
            item_row = dispositions.get_item(uow.session, disposition, recording)
            # Another worker may have come to the end of it meanwhile.
            if item_row.state != ItemState.SHREDDED:
                return
            stone = dispositions.find_tombstone(uow.session, recording)
            if stone is None:
                raise VaultError(problem="shredded without a tombstone", recording=recording)
            stone.verified_at = uow.at
            uploads.forget_upload(uow, UploadRow, recording)
            act = "recording.destroyed"
            dispositions.move_item(uow, item_row, ItemState.DESTROYED, act, stone, actor=actor)
        self.on_step("gone")

    def _certify_disposition(self, disposition: str, actor: str) -> None:
        with self.catalogue.write() as uow:
            row = dispositions.get_disposition(uow.session, disposition)
            states = [
                ItemState(item_row.state)
                for item_row in dispositions.list_items(uow.session, row.id)
            ]
            if row.state != DispositionState.APPROVED or not policy.is_settled(states):
                return
            body = build_certificate(uow.session, row, uow.at)
            signed = sign_document(self.key, CERTIFICATE_DOMAIN, body)
            dispositions.close_disposition(uow, row, signed.decode(), actor=actor)
        self.on_step("certified")

    def _leave_tombstone(
        self,
        uow: UnitOfWork,
        item_row: DispositionItemRow,
        row: RecordingRow,
        actor: str,
        strange: dict[str, Any],
    ) -> None:
        stone = TombstoneRow(
            recording_id=row.id,
            disposition_id=item_row.disposition_id,
            sha256=row.sha256,
            size=row.size,
            record=str(Digest.compute(row.record_text.encode())),
            retained_until=row.retain_until,
            destroyed_at=uow.at,
            verified_at=None,
        )
        uow.session.add(stone)
        row.envelope_text, row.destroyed_at = "", uow.at
        # Renditions show the same pictures, under envelopes of their own.
        renditions = recording_upkeep.renditions_of(uow.session, row.id)
        for rendition in renditions:
            rendition.envelope_text = ""
        act = "recording.destroy"
        rows = (row, stone, *renditions)
        dispositions.move_item(
            uow, item_row, ItemState.SHREDDED, act, *rows, actor=actor, **strange
        )

    def _keep_recording(
        self, uow: UnitOfWork, item_row: DispositionItemRow, reasons: Sequence[Reason], actor: str
    ) -> None:
        act = "recording.keep"
        dispositions.move_item(uow, item_row, ItemState.RETAINED, act, actor=actor, kept_by=reasons)

    def _put_back(self, row: RecordingRow) -> None:
        """Store the envelope again, from the catalogue's copy, where a crash had deleted it."""
        key = _object_key(row.id, ENVELOPE)
        self.objects.put(key, [row.envelope_text.encode()])
        self.objects.lock(key, limit_lock_date(row.retain_until))

    def _find_reasons(self, uow: UnitOfWork, recording: str, store: Store) -> tuple[Reason, ...]:
        facts = retention.kept_facts(uow.session, self.rulebook, [recording], uow.at)[recording]
        # The store's own lock and hold keep a recording as well, whatever the rows say.
        full_facts = replace(facts, locked=store.locked, store_held=store.on_hold)
        return judge_retention(self.rulebook, full_facts, uow.at).reasons_at(uow.at)

    def _describe_strangers(self, recording: str) -> dict[str, Any]:
        """Return what the entry says of versions that go along and were never ours."""
        with self.catalogue.read() as session:
            keys = keys_of(session, recording)
        strangers = strange_versions(self.objects, keys)
        return {"strangers": strangers} if strangers else {}

    def _see_gone(self, keys: Sequence[str]) -> None:
        """Look for every object once more. Raises: VaultError while one is left or may be."""
        for key in keys:
            try:
                self.objects.facts(key)
            except ObjectMissingError:
                continue
            raise VaultError(problem="not gone", key=key)

    def _as_logged(
        self, uow: UnitOfWork, disposition: str, recording: str, act: str, actor: str
    ) -> None:
        """Refuse to go on where a row is not as it was logged. Raises: RowsDifferError."""
        subject = Subject.of_recording(recording)
        attempt = Attempt(act, PremisType.DEACCESSION, actor, subject)
        require_footage(uow, [recording], attempt, Subject.of_disposition(disposition))

    def _require_permission(self, uow: UnitOfWork, disposition: str) -> None:
        """Ask again whether it may be executed now. Raises: DispositionError."""
        row = dispositions.get_disposition(uow.session, disposition)
        proposal = dispositions.gather_proposal(uow.session, row, self.bounds, uow.at)
        no = policy.may_execute(proposal, uow.at, self.bounds)
        if no is not None:
            raise dispositions.DispositionError(no)

    def _require_trusted_clock(self, uow: UnitOfWork, readings: Sequence[ClockAnswer]) -> None:
        """Compare our clock with the others. Raises: ClockDoubtedError."""
        last = custody_log.LogReader(uow.session).last_at
        doubt = trusted_time.find_clock_doubt(readings, uow.at, last)
        if doubt is not None:
            raise ClockDoubtedError(doubt, readings)

    def _log_stop(self, disposition: str, error: ClockDoubtedError, actor: str) -> None:
        with self.catalogue.write() as uow:
            uow.record(
                "disposition.stop",
                PremisType.DEACCESSION,
                actor=actor,
                subject=Subject.of_disposition(disposition),
                outcome=Outcome.REFUSED,
                why=error.code,
                **error.facts,
            )


def store_of(objects: ObjectStore, recording: str) -> Store:
    """Ask the object store; an object that is gone already keeps nothing. Raises: VaultError."""
    locked, on_hold = None, False
    for part in PARTS:
        try:
            # A lost lock passes through as an error: nobody knows until when it kept the object.
            facts = objects.facts(_object_key(recording, part))
        except ObjectMissingError:
            continue
        dates = [date for date in (locked, facts.retain_until) if date is not None]
        locked, on_hold = max(dates, default=None), on_hold or facts.on_hold
    return Store(locked, on_hold)


def keys_of(session: View, recording: str) -> list[str]:
    """Return the keys of everything that may be stored of a recording; its renditions come last."""
    rendition_keys = [
        _object_key(rendition.id, RENDITION)
        for rendition in recording_upkeep.renditions_of(session, recording)
    ]
    return [*(_object_key(recording, part) for part in PARTS), *rendition_keys]


def build_certificate(session: View, row: DispositionRow, at: datetime) -> dict[str, Any]:
    """Return what a destruction certificate says, as plain JSON; times in ISO 8601, UTC."""
    approved = dispositions.list_approvals(session, row.id)
    names = people.find_names(
        session, {row.proposed_by, *(approval.person_id for approval in approved)}
    )
    destructions, retentions = [], []
    for item_row in dispositions.list_items(session, row.id):
        stone = dispositions.find_tombstone(session, item_row.recording_id)
        if item_row.state == ItemState.DESTROYED and stone is not None:
            destructions.append(
                {
                    "recording": stone.recording_id,
                    "sha256": stone.sha256,
                    "size": stone.size,
                    "record": stone.record,
                    "retained_until": to_plain(stone.retained_until),
                    "destroyed_at": to_plain(stone.destroyed_at),
                    "verified_at": to_plain(stone.verified_at),
                    "rules": sorted(
                        {reason["rule"] for reason in item_row.why or () if reason["rule"]}
                    ),
                }
            )
        else:
            retentions.append({"recording": item_row.recording_id, "why": item_row.why or []})
    return {
        "v": 1,
        "disposition": row.id,
        "township": row.township,
        "reason": row.reason,
        "proposed_by": names.get(row.proposed_by, row.proposed_by),
        "proposed_at": to_plain(row.proposed_at),
        "approved_by": [
            {"name": names.get(approval.person_id, approval.person_id), "at": to_plain(approval.at)}
            for approval in approved
        ],
        "not_before": to_plain(row.not_before),
        "certified_at": to_plain(at),
        "destroyed": destructions,
        "kept": retentions,
    }


def _object_key(own: str, part: str) -> str:
    return key_of(RecordingId(UUID(own)), part)
