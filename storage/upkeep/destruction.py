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

from policies.facts.facts_json import plain
from policies.retention import disposition as policy
from policies.retention.disposition import Bounds, DispositionState, ItemState
from policies.retention.retention import Reason, explain
from policies.rules.rules import Rulebook
from policies.time import trusted_time
from policies.time.trusted_time import ClockDoubt, Told
from storage.catalogue.jobs import jobs
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
    lockable,
    strange_versions,
)

CERTIFICATE_DOMAIN = "destruction-certificate/v1"


class ClockDoubtedError(LiuhenError):
    """Our clock is not trusted: nothing is destroyed. The code is `clock-` and a ClockDoubt."""

    retryable = True

    def __init__(self, doubt: ClockDoubt, told: Sequence[Told]) -> None:
        """Keep what the other clocks said: by how many seconds we are ahead of each."""
        super().__init__(ahead_s={one.who: round(one.ahead_s, 1) for one in told})
        self.code = f"clock-{doubt.value}"


@dataclass(frozen=True, slots=True)
class Store:
    """What the object store says of a recording's objects: the longest lock, and any hold."""

    locked: datetime | None
    held: bool


@dataclass(slots=True)
class Destruction:
    """Executes dispositions. `trusted` asks other clocks."""

    catalogue: Catalogue
    objects: ObjectStore
    rulebook: Rulebook
    bounds: Bounds
    key: SigningKey
    trusted: Callable[[], Sequence[Told]]
    on_step: Callable[[str], None] = lambda _step: None

    def execute(self, disposition_id: str, *, actor: str) -> dict[str, int]:
        """Destroy what may be destroyed; return how many items ended in which state.

        Called again after a crash it goes on; a disposition that was withdrawn, or is done, stays
        as it is. Raises: NotFoundError, DispositionError (not yet), ClockDoubtedError,
        RowsDifferError, VaultError (a retryable one may pass); what was done before stays done.
        """
        with self.catalogue.read() as session:
            row = dispositions.disposition(session, disposition_id)
            listed = [one.recording_id for one in dispositions.items(session, row.id)]
        if DispositionState(row.state) is DispositionState.APPROVED:
            try:
                for recording in listed:
                    self._one(row.id, recording, actor)
            except ClockDoubtedError as error:
                with suppress(LogClockError):  # then the log takes no entry either
                    self._stopped(row.id, error, actor)
                raise
            self._certify(row.id, actor)
        with self.catalogue.read() as session:
            found = [one.state for one in dispositions.items(session, row.id)]
        return {state: found.count(state) for state in sorted(set(found))}

    def _one(self, disposition: str, recording: str, actor: str) -> None:
        """Take one recording as far as it goes; each step finds out by itself where it stands."""
        self._begin(disposition, recording, actor)
        self._shred(disposition, recording, actor)
        self._clear(disposition, recording, actor)

    def _begin(self, disposition: str, recording: str, actor: str) -> None:
        told, store = self.trusted(), store_of(self.objects, recording)
        strange = self._strangers(recording)
        with self.catalogue.write() as uow:
            item = dispositions.item(uow.session, disposition, recording)
            if item.state != ItemState.LISTED:
                return
            self._as_logged(uow, disposition, recording, "recording.destroy-begin", actor)
            self._allowed(uow, disposition)
            self._vouched(uow, told)
            if reasons := self._keepers(uow, recording, store):
                self._keep(uow, item, reasons, actor)
            else:
                act = "recording.destroy-begin"
                dispositions.move(uow, item, ItemState.BEGUN, act, actor=actor, **strange)
        self.on_step("begun")

    def _shred(self, disposition: str, recording: str, actor: str) -> None:
        """Pass the point of no return, or turn back."""
        told, store = self.trusted(), store_of(self.objects, recording)
        strange = self._strangers(recording)
        with self.catalogue.write() as uow:
            item = dispositions.item(uow.session, disposition, recording)
            if item.state != ItemState.BEGUN:
                return
            self._as_logged(uow, disposition, recording, "recording.destroy", actor)
            row = recordings.by_id(uow.session, recording)
            if reasons := self._keepers(uow, recording, store):
                self._put_back(row)
                self._keep(uow, item, reasons, actor)
            else:
                self._vouched(uow, told)
                self.objects.delete(_key(recording, ENVELOPE), uow.at)
                self.on_step("envelope-deleted")
                self._tombstone(uow, item, row, actor, strange)
        if reasons:
            legal_hold_sync.follow(self.catalogue, self.objects, [recording])
            return
        self.on_step("shredded")

    def _clear(self, disposition: str, recording: str, actor: str) -> None:
        """Remove what no key opens any more, and see that it is gone."""
        with self.catalogue.read() as session:
            if dispositions.item(session, disposition, recording).state != ItemState.SHREDDED:
                return
            keys = keys_of(session, recording)
        for key in keys:
            self.objects.delete(key, self.catalogue.now())
            self.on_step(f"{key.rpartition('/')[2]}-deleted")
        self._see_gone(keys)
        with self.catalogue.write() as uow:
            item = dispositions.item(uow.session, disposition, recording)
            if item.state != ItemState.SHREDDED:
                return
            stone = dispositions.tombstone(uow.session, recording)
            if stone is None:
                raise VaultError(problem="shredded without a tombstone", recording=recording)
            stone.verified_at = uow.at
            uploads.forget(uow, UploadRow, recording)
            act = "recording.destroyed"
            dispositions.move(uow, item, ItemState.GONE, act, stone, actor=actor)
        self.on_step("gone")

    def _certify(self, disposition: str, actor: str) -> None:
        with self.catalogue.write() as uow:
            row = dispositions.disposition(uow.session, disposition)
            states = [ItemState(one.state) for one in dispositions.items(uow.session, row.id)]
            if row.state != DispositionState.APPROVED or not policy.settled(states):
                return
            body = certificate(uow.session, row, uow.at)
            signed = sign_document(self.key, CERTIFICATE_DOMAIN, body)
            dispositions.close(uow, row, signed.decode(), actor=actor)
        self.on_step("certified")

    def _tombstone(
        self,
        uow: UnitOfWork,
        item: DispositionItemRow,
        row: RecordingRow,
        actor: str,
        strange: dict[str, Any],
    ) -> None:
        stone = TombstoneRow(
            recording_id=row.id,
            disposition_id=item.disposition_id,
            sha256=row.sha256,
            size=row.size,
            record=str(Digest.of(row.record_text.encode())),
            retained_until=row.retain_until,
            destroyed_at=uow.at,
            verified_at=None,
        )
        uow.session.add(stone)
        row.envelope_text, row.destroyed_at = "", uow.at
        made = jobs.renditions_of(uow.session, row.id)
        for one in made:
            one.envelope_text = ""
        act = "recording.destroy"
        rows = (row, stone, *made)
        dispositions.move(uow, item, ItemState.SHREDDED, act, *rows, actor=actor, **strange)

    def _keep(
        self, uow: UnitOfWork, item: DispositionItemRow, reasons: Sequence[Reason], actor: str
    ) -> None:
        act = "recording.keep"
        dispositions.move(uow, item, ItemState.KEPT, act, actor=actor, kept_by=reasons)

    def _put_back(self, row: RecordingRow) -> None:
        """Store the envelope again, from the catalogue's copy, where a crash had deleted it."""
        key = _key(row.id, ENVELOPE)
        self.objects.put(key, [row.envelope_text.encode()])
        self.objects.lock(key, lockable(row.retain_until))

    def _keepers(self, uow: UnitOfWork, recording: str, store: Store) -> tuple[Reason, ...]:
        facts = retention.kept_facts(uow.session, self.rulebook, [recording], uow.at)[recording]
        asked = replace(facts, locked=store.locked, store_held=store.held)
        return explain(self.rulebook, asked, uow.at).keeping(uow.at)

    def _strangers(self, recording: str) -> dict[str, Any]:
        """Return what the entry says of versions that go along and were never ours."""
        with self.catalogue.read() as session:
            keys = keys_of(session, recording)
        found = strange_versions(self.objects, keys)
        return {"strangers": found} if found else {}

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
        subject = recordings.subject_of(recording)
        attempt = Attempt(act, PremisType.DEACCESSION, actor, subject)
        require_footage(uow, [recording], attempt, dispositions.subject(disposition))

    def _allowed(self, uow: UnitOfWork, disposition: str) -> None:
        """Ask again whether it may be executed now. Raises: DispositionError."""
        row = dispositions.disposition(uow.session, disposition)
        told = dispositions.proposal(uow.session, row, self.bounds, uow.at)
        no = policy.may_execute(told, uow.at, self.bounds)
        if no is not None:
            raise dispositions.DispositionError(no)

    def _vouched(self, uow: UnitOfWork, told: Sequence[Told]) -> None:
        """Compare our clock with the others. Raises: ClockDoubtedError."""
        last = custody_log.LogReader(uow.session).last_at
        doubt = trusted_time.doubted(told, uow.at, last)
        if doubt is not None:
            raise ClockDoubtedError(doubt, told)

    def _stopped(self, disposition: str, error: ClockDoubtedError, actor: str) -> None:
        with self.catalogue.write() as uow:
            uow.record(
                "disposition.stop",
                PremisType.DEACCESSION,
                actor=actor,
                subject=dispositions.subject(disposition),
                outcome=Outcome.REFUSED,
                why=error.code,
                **error.facts,
            )


def store_of(objects: ObjectStore, recording: str) -> Store:
    """Ask the object store; an object that is gone already keeps nothing. Raises: VaultError."""
    locked, held = None, False
    for part in PARTS:
        try:
            facts = objects.facts(_key(recording, part))
        except ObjectMissingError:
            continue
        dates = [one for one in (locked, facts.retain_until) if one is not None]
        locked, held = max(dates, default=None), held or facts.held
    return Store(locked, held)


def keys_of(session: View, recording: str) -> list[str]:
    """Return the keys of everything that may be stored of a recording; its renditions come last."""
    made = [_key(one.id, RENDITION) for one in jobs.renditions_of(session, recording)]
    return [*(_key(recording, part) for part in PARTS), *made]


def certificate(session: View, row: DispositionRow, at: datetime) -> dict[str, Any]:
    """Return what a destruction certificate says, as plain JSON; times in ISO 8601, UTC."""
    approved = dispositions.approvals(session, row.id)
    names = people.names(session, {row.proposed_by, *(one.person_id for one in approved)})
    gone, kept = [], []
    for item in dispositions.items(session, row.id):
        stone = dispositions.tombstone(session, item.recording_id)
        if item.state == ItemState.GONE and stone is not None:
            gone.append(
                {
                    "recording": stone.recording_id,
                    "sha256": stone.sha256,
                    "size": stone.size,
                    "record": stone.record,
                    "retained_until": plain(stone.retained_until),
                    "destroyed_at": plain(stone.destroyed_at),
                    "verified_at": plain(stone.verified_at),
                    "rules": sorted({one["rule"] for one in item.why or () if one["rule"]}),
                }
            )
        else:
            kept.append({"recording": item.recording_id, "why": item.why or []})
    return {
        "v": 1,
        "disposition": row.id,
        "township": row.township,
        "reason": row.reason,
        "proposed_by": names.get(row.proposed_by, row.proposed_by),
        "proposed_at": plain(row.proposed_at),
        "approved_by": [
            {"name": names.get(one.person_id, one.person_id), "at": plain(one.at)}
            for one in approved
        ],
        "not_before": plain(row.not_before),
        "certified_at": plain(at),
        "destroyed": gone,
        "kept": kept,
    }


def _key(own: str, part: str) -> str:
    return key_of(RecordingId(UUID(own)), part)
