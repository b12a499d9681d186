"""A small archive for the tests of keeping and destroying: real catalogue, real objects, no media.

Its clock stands until a test moves it. Every recording has its three objects, locked as promised.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from policies.access.access import Person, Role
from policies.facts.stages import ActionKind
from policies.facts.states import ExhibitState
from policies.identifiers import Subject
from policies.retention.disposition import Bounds
from policies.retention.retention import retain_until
from policies.rules.rulebook import load_rulebook
from policies.rules.rules import Rulebook
from policies.time.trusted_time import ClockAnswer
from storage.catalogue.cases import cases, exhibits
from storage.catalogue.holds import releases
from storage.catalogue.jobs.tables import RenditionRow
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.catalogue.recordings.recordings import NewRecording
from storage.catalogue.retention import dispositions
from storage.catalogue.tables import ExhibitRow, RecordingRow
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.event import PremisType
from storage.digest import Digest
from storage.errors import ObjectMissingError
from storage.recording import MediaKind, RecordingId, new_recording_id
from storage.signed.signing import SigningKey
from storage.upkeep.destruction import Destruction, keys_of
from storage.vault.objects import (
    ENVELOPE,
    PARTS,
    PAYLOAD,
    RECORD,
    RENDITION,
    ObjectStore,
    key_of,
    limit_lock_date,
)
from tests.acting import acting_in

TOWNSHIP = "半壁山镇"
WHO = "system"
ORDINARY = timedelta(days=184)
# Who keeps: two heads of the township and two reviewers of the county.
KEEPERS = {"赵一": Role.HEAD, "钱二": Role.HEAD, "孙三": Role.REVIEWER, "周四": Role.REVIEWER}


def keeper_of(person_id: str, role: Role, township: str) -> Person:
    """Return somebody as a face knows him; a reviewer is of the whole county."""
    return Person(person_id, role, None if role is Role.REVIEWER else township)


def add_keeper(uow: UnitOfWork, name: str, role: Role, township: str) -> Person:
    """Add a head or a reviewer with an account."""
    row = people.add_person(
        uow, name=name, kind=role.value, unit=township, township=township, actor=WHO
    )
    people.create_account(
        uow, username=name, password_hash="x", role=role.value, person_id=row.id, actor=WHO
    )
    return replace(keeper_of(row.id, role, township), actor=acting_in(uow, row.id))


@dataclass
class Archive:
    """One archive; `at` is its clock. `trusted` is what other clocks say, by default the same."""

    url: str
    objects: ObjectStore
    at: datetime
    rulebook: Rulebook = field(default_factory=load_rulebook)
    bounds: Bounds = field(
        default_factory=lambda: Bounds(brake_items=1000, brake_share=1.0, cooling=timedelta(days=7))
    )
    on_step: Callable[[str], None] = lambda _step: None
    trusted: Callable[[], Sequence[ClockAnswer]] | None = None
    entropy: Callable[[int], bytes] = os.urandom

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.url, lambda: self.at, self.entropy, busy_timeout_s=10)
        self.key = SigningKey.from_seeds("centre", bytes(range(64)))
        self.persons: dict[str, str] = {}
        self.actors: dict[str, str] = {}

    def found(self) -> "Archive":
        """Make tables, a station, three officers, and the keepers with their accounts."""
        self.catalogue.migrate_tables(new=True)
        with self.catalogue.write() as uow:
            people.add_station(uow, id="s1", name="半壁山", township=TOWNSHIP, actor=WHO)
            for name in ("张三", "李四", "王五"):
                found = people.add_person(
                    uow,
                    name=name,
                    kind="officer",
                    unit="司法所",
                    township=TOWNSHIP,
                    certificate_no=name,
                    actor=WHO,
                )
                self.persons[name] = found.id
                self.actors[name] = acting_in(uow, found.id)
            for name, role in KEEPERS.items():
                keeper = add_keeper(uow, name, role, TOWNSHIP)
                self.persons[name], self.actors[name] = keeper.id, keeper.actor or WHO
        return self

    def keeper(self, name: str) -> Person:
        """Return somebody as a face knows him; who is no keeper is an officer."""
        found = keeper_of(self.persons[name], KEEPERS.get(name, Role.OFFICER), TOWNSHIP)
        return replace(found, actor=self.actors[name])

    def release(self, hold: str, first: str, second: str) -> None:
        """Release a hold by two keepers."""
        with self.catalogue.write() as uow:
            proposed = releases.propose_for_hold(uow, hold, "结案", by=self.keeper(first))
        with self.catalogue.write() as uow:
            releases.approve_release(uow, proposed.id, by=self.keeper(second))

    def reopen(self) -> "Archive":
        """Find the persons of an archive that another process founded."""
        with self.catalogue.read() as session:
            self.persons = {one.name: one.id for one in people.list_persons(session)}
        with self.catalogue.write() as uow:
            self.actors = {name: acting_in(uow, one) for name, one in self.persons.items()}
        return self

    def keep(
        self,
        content: bytes = b"footage",
        start: datetime | None = None,
        officer: str | None = None,
    ) -> str:
        """Accession a recording now, its objects locked as promised; return its id.

        `officer` is whose footage it is, by name.
        """
        own = new_recording_id(self.at, self.entropy(10))
        until = retain_until(self.rulebook, self.at)
        texts = {RECORD: f'{{"record":"{own}"}}', ENVELOPE: f'{{"envelope":"{own}"}}'}
        self.objects.put(key_of(own, PAYLOAD), [content])
        for part, text in texts.items():
            self.objects.put(key_of(own, part), [text.encode()])
        new = NewRecording(
            id=own,
            source_serial="R1",
            sha256=Digest.compute(hashlib.sha256(str(own).encode()).digest() + content),
            size=len(content),
            name="a.mp4",
            path="a.mp4",
            kind=MediaKind.VIDEO,
            playable=True,
            township=TOWNSHIP,
            station="s1",
            profile="generic",
            record_text=texts[RECORD],
            envelope_text=texts[ENVELOPE],
            retain_until=until,
            officer_no=officer,
            duration_s=60.0,
            start_at=start or self.at,
            end_at=(start or self.at) + timedelta(seconds=60),
            has_video=True,
            has_audio=True,
        )
        with self.catalogue.write() as uow:
            recordings.accession_recordings(uow, new)
        for part in PARTS:
            self.objects.lock(key_of(own, part), limit_lock_date(until))
        return str(own)

    def rendition(self, recording: str) -> str:
        """Store something made from a recording; return its object's key."""
        own = new_recording_id(self.at, self.entropy(10))
        stored = self.objects.put(key_of(own, RENDITION), [b"sealed picture"])
        with self.catalogue.write() as uow:
            row = RenditionRow(
                id=str(own),
                recording_id=recording,
                kind="poster",
                at=uow.at,
                asked_by=WHO,
                size=1,
                sha256="b" * 64,
                sealed_sha256=stored.digest.hex,
                envelope_text="{}",
            )
            uow.session.add(row)
            kind, subject = PremisType.CREATION, Subject.of_recording(recording)
            uow.record("recording.rendition", kind, row, actor=WHO, subject=subject)
        return stored.key

    def action(
        self, kind: ActionKind = ActionKind.INSPECTION, party: str = "某店", officer: str = "张三"
    ) -> str:
        """Open a case with one action around now; return the action's id."""
        with self.catalogue.write() as uow:
            case = cases.open_case(
                uow, number=uow.new_id(), title="t", party=party, township=TOWNSHIP, actor=WHO
            )
            return cases.add_action(
                uow,
                case_id=case.id,
                kind=kind,
                place="x",
                start_at=self.at,
                end_at=self.at + timedelta(seconds=60),
                officers=[self.persons[officer]],
                actor=WHO,
            ).id

    def case_of(self, action: str) -> str:
        """Return the id of an action's case."""
        with self.catalogue.read() as session:
            return cases.get_action(session, action).case_id

    def link(self, action: str, recording: str) -> str:
        """Link in the catalogue alone, as if a crash had left the lock and the promise short."""
        with self.catalogue.write() as uow:
            return exhibits.link_by_hand(uow, action, recording, actor=WHO).id

    def propose_link(self, action: str, recording: str, at: datetime | None = None) -> str:
        """Propose a link, as the office does by officer and time; return the exhibit's id."""
        shown = at or self.at
        with self.catalogue.write() as uow:
            row = ExhibitRow(
                id=uow.new_id(),
                recording_id=recording,
                action_id=action,
                shown_from=shown,
                shown_to=shown,
                state=ExhibitState.PROPOSED,
                how="officer-time",
                proposed_by="system",
                decided_by=None,
            )
            uow.session.add(row)
            kind = PremisType.METADATA_MODIFICATION
            subject = Subject.of_recording(recording)
            uow.record("exhibit.propose", kind, row, actor=WHO, subject=subject)
        return row.id

    def propose(self, *ids: str, by: str = "张三") -> str:
        """Propose a disposition; return its id."""
        with self.catalogue.write() as uow:
            return dispositions.propose_disposition(
                uow,
                self.rulebook,
                self.bounds,
                ids,
                "保管期限届满",
                person_id=self.persons[by],
                actor=WHO,
                township=TOWNSHIP,
            ).id

    def approve(self, disposition: str, by: str = "李四") -> None:
        """Approve a disposition."""
        with self.catalogue.write() as uow:
            dispositions.approve_disposition(
                uow, self.bounds, disposition, person_id=self.persons[by], actor=WHO
            )

    def decided(self, *ids: str) -> str:
        """Propose, approve, and let the cooling-off time pass; return the disposition's id."""
        disposition = self.propose(*ids)
        self.approve(disposition)
        self.at += self.bounds.cooling
        return disposition

    def destruction(self) -> Destruction:
        """Return what destroys, as this archive is set up now."""
        return Destruction(
            catalogue=self.catalogue,
            objects=self.objects,
            rulebook=self.rulebook,
            bounds=self.bounds,
            key=self.key,
            trusted=self.trusted or (lambda: (ClockAnswer("test", self.at, self.at),)),
            on_step=self.on_step,
        )

    def execute(self, disposition: str) -> dict[str, int]:
        """Destroy."""
        return self.destruction().execute(disposition, actor=WHO)

    def row(self, recording: str) -> RecordingRow:
        """Return a recording's row."""
        with self.catalogue.read() as session:
            return recordings.by_id(session, recording)

    def parts(self, recording: str) -> set[str]:
        """Return the parts of a recording that are in the store."""
        found = set()
        for part in PARTS:
            try:
                self.objects.facts(self.key_of(recording, part))
            except ObjectMissingError:
                continue
            found.add(part)
        return found

    def whole(self, recording: str) -> bool:
        """Tell whether a recording is all there: three objects, its envelope, no tombstone."""
        with self.catalogue.read() as session:
            row = recordings.by_id(session, recording)
            stone = dispositions.find_tombstone(session, recording)
        kept = row.destroyed_at is None and row.envelope_text != "" and stone is None
        return kept and self.parts(recording) == set(PARTS)

    def gone(self, recording: str) -> bool:
        """Tell whether a recording is all gone: no object, no envelope, a verified tombstone."""
        with self.catalogue.read() as session:
            row = recordings.by_id(session, recording)
            complete = dispositions.is_destroyed(session, row)
            keys = set(keys_of(session, recording))
        return complete and row.envelope_text == "" and not keys & set(self.objects.keys())

    @staticmethod
    def key_of(recording: str, part: str) -> str:
        """Return an object's key."""
        return key_of(RecordingId(recording), part)  # type: ignore[arg-type]

    def close(self) -> None:
        """Let go of the database."""
        self.catalogue.close()
