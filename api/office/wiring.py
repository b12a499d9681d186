"""Opens an office and builds every object once: the composition root.

`Office.open` opens one that is whole, and makes nothing; `founding` alone makes a new one. The
rooms below read no settings, no clock and no randomness but what they get from here.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from api.office.settings.office_record import RECORD, check_default
from api.office.settings.settings import Settings
from api.office.station_parts import bays_of, hold_station, recorders_of
from api.office.stores.store_opening import attach_archive, look_at_home, open_catalogue, open_store
from api.office.system import clock, entropy, software_version
from api.office.trusted_time import TrustedTime
from ingest.bays.bay import Bay, Progress
from ingest.bays.settle import Patience
from ingest.cameras.room_camera import Recorder
from ingest.centre.accession import LocalCentre
from ingest.centre.hand_in import BAY as HANDED_IN
from ingest.centre.hand_in import Allowance, Reception
from ingest.centre.receipts import Receipts
from ingest.centre.uploads import Uploads
from ingest.media.sandbox import Effort, Sandbox
from ingest.sources.profile_files import OWN as OWN_PROFILES
from ingest.sources.profile_files import load_profiles
from ingest.station.clear import Clearing
from ingest.station.journal import Journal
from ingest.station.seal import Seal
from ingest.station.station import Station
from policies.facts.terms import SourceKind
from policies.identifiers import SYSTEM, StationId
from policies.retention.disposition import Bounds
from policies.rules.rulebook import SHIPPED, load_rulebook
from policies.rules.rules import Rulebook
from policies.time.trusted_time import ClockAnswer
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import people
from storage.catalogue.proofs import office_keys
from storage.catalogue.proofs.case_chains import begin_chains
from storage.catalogue.proofs.rulebooks import log_rulebook
from storage.catalogue.recordings import recordings, uploads
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.signer import LogSigner
from storage.digest import Algorithm
from storage.errors import LiuhenError
from storage.signed.signing import VerifyKey
from storage.upkeep.destruction import Destruction
from storage.vault.keys import KeyRing
from storage.vault.known_store import KnownStore
from storage.vault.objects import ObjectStore
from storage.vault.tiered_objects import TieredObjects

Step = Callable[[str], None]
MOVED = "moved.json"


class MovedError(LiuhenError):
    """The office was moved to another place: two of one log must never grow apart."""

    code = "moved"


def _ignore_step(_step: str) -> None:
    """Ignore a step."""


@dataclass(slots=True)
class Office:
    """One embedded office, opened: centre and station in one process."""

    settings: Settings
    ring: KeyRing
    catalogue: Catalogue
    objects: ObjectStore
    known_store: KnownStore
    signer: LogSigner
    rulebook: Rulebook
    centre: LocalCentre
    uploads: Uploads
    reception: Reception
    journal: Journal
    trusted: Callable[[], Sequence[ClockAnswer]]
    clock: Callable[[], datetime] = clock
    monotonic: Callable[[], float] = time.monotonic
    entropy: Callable[[int], bytes] = entropy
    on_step: Step = _ignore_step
    _sandbox: list[Sandbox] = field(default_factory=list)
    _lock: list[int] = field(default_factory=list)

    @classmethod
    def open(
        cls, settings: Settings, on_step: Step = _ignore_step, *, moved: bool = False
    ) -> "Office":
        """Open an office that was founded; one that was moved away only where `moved` is said.

        Where there is none, or not all of it, nothing is made.
        Raises: MovedError, NoOfficeError, FoundingUnfinishedError, StationHomeError,
        OfficePartsError, OfficeRecordLostError, KeyRingError, RuleError, StoreSetupError,
        StoreReplacedError, CatalogueBusyError, CatalogueUnavailableError.
        """
        if not moved:
            refuse_moved(settings.home)
        with ExitStack() as undo:
            catalogue = open_catalogue(settings)
            undo.callback(catalogue.close)
            # Before any migration: an empty database beside old keys would begin a second history.
            look_at_home(settings, catalogue).require_office()
            office = cls._assemble_office(catalogue, settings, on_step)
            undo.callback(office.close)
            office.check_record()
            if not moved:
                office.log_rules()
            undo.pop_all()
        return office

    def check_record(self) -> None:
        """Make sure that the township is the office's own. Raises: OfficeRecordLostError."""
        settings = self.settings
        if (settings.keys / RECORD).exists():
            return
        with self.catalogue.read() as session:
            rows = {row.id: row.township for row in people.list_stations(session)}
        check_default(settings.keys, settings.township, rows.get(StationId(settings.station)))

    def log_rules(self) -> None:
        """Have the log hold its chains and the office's keys, and know which rules judge now."""
        begin_chains(self.catalogue)
        office_keys.log_office_keys(self.catalogue, self.ring)
        log_rulebook(self.catalogue, self.rulebook)

    @classmethod
    def open_empty(cls, settings: Settings, on_step: Step = _ignore_step) -> "Office":
        """Open an office whose catalogue is filled next: by its founding, or by a move.

        The caller has made sure that nothing of another office is there. Raises: as `open`.
        """
        with ExitStack() as undo:
            catalogue = open_catalogue(settings)
            undo.callback(catalogue.close)
            catalogue.migrate_tables(new=True)
            office = cls._assemble_office(catalogue, settings, on_step)
            undo.pop_all()
        return office

    @classmethod
    def _assemble_office(cls, catalogue: Catalogue, settings: Settings, on_step: Step) -> "Office":
        """Build an office over its catalogue, which stays the caller's to close if this raises."""
        home, ring = settings.home, KeyRing.load(settings.keys)
        catalogue.migrate_tables()
        objects, known_store = open_store(settings, catalogue)
        log = ring.get_verify_key("log")
        state = home / "log-signer" / "head"
        # The signer's own file remembers its last head, so a rolled-back database is noticed.
        signer = LogSigner(ring.get_signing_key("log"), log.name, state, log.former)
        catalogue.trust_heads(signer.last_head)
        rulebook = load_rulebook(settings.rulebook or SHIPPED, settings.county)
        centre = LocalCentre(
            catalogue=catalogue,
            objects=objects,
            receipts=Receipts(catalogue, signer, home / "log", ring.get_signing_key("centre")),
            stations=lambda: known_stations(ring, catalogue),
            rulebook=rulebook,
            station=settings.station,
            recipients=frozenset(key.kid for key in ring.recipients),
            scene_key=ring.scene_key,
            on_step=on_step,
            check_store=known_store.check_identity,
        )
        uploads = Uploads(catalogue, objects, home / "uploads")
        reception = _build_reception(settings, catalogue, on_step)
        trusted = TrustedTime(settings.time_servers, objects, catalogue, clock, time.monotonic)
        journal = Journal(JournalStore(home / "station.db"), clock)  # last: nobody else closes it
        return cls(
            settings,
            ring,
            catalogue,
            objects,
            known_store,
            signer,
            rulebook,
            centre,
            uploads,
            reception,
            journal,
            trusted,
            on_step=on_step,
        )

    @property
    def sandbox(self) -> Sandbox:
        """The media sandbox, tried once per process."""
        if not self._sandbox:
            self._sandbox.append(Sandbox.detect())
        return self._sandbox[0]

    @property
    def station_keys(self) -> tuple[VerifyKey, ...]:
        """The keys of every station whose sealed records are trusted."""
        return known_stations(self.ring, self.catalogue)

    def list_bays(self) -> list[Bay]:
        """Return the bays and landing folders of the settings."""
        return bays_of(self.settings)

    @property
    def handed_in(self) -> Bay:
        """The bay of what persons hand in; its files are whole when they are there."""
        return Bay(
            HANDED_IN,
            self.reception.bay_folder,
            landing=True,
            quiet_s=0,
            hand_in_source=self.reception,
        )

    def build_station(
        self,
        listen: Callable[[Progress], None] = lambda _progress: None,
        *,
        operator: str | None = None,
        patience: Patience | None = None,
        clearing: Clearing | None = None,
        alone: bool = True,
    ) -> Station:
        """Build the station of this office; it recovers what a crash left.

        Patience and clearing are the settings' unless given; `alone` says that nobody else writes
        to the object store now. Only one process at a time is the
        station of a home: what another has in hand must not be taken for left over.
        Raises: StationBusyError, ProfileError.
        """
        settings = self.settings
        profiles = load_profiles(settings.home / OWN_PROFILES)  # refused before anything is done
        self._take_station()
        # On S3 others may always be writing: there the `sweep` job waits.
        if alone and settings.objects_url is None:
            with self.catalogue.read() as session:
                self.objects.sweep(uploads.find_oldest_start(session) or self.clock())
        algorithms = (Algorithm.SHA256, Algorithm.SM3) if settings.sm3 else (Algorithm.SHA256,)
        station = Station(
            journal=self.journal,
            centre=self.centre,
            sandbox=self.sandbox,
            seal=Seal(
                station=settings.station,
                key=self.ring.get_signing_key(f"station-{settings.station}"),
                recipients=self.ring.recipients,
                algorithms=algorithms,
                software=software_version(),
                operator=operator,
            ),
            centre_key=self.ring.get_verify_key("centre"),
            log_key=self.ring.get_verify_key("log"),
            clock=self.clock,
            monotonic=self.monotonic,
            entropy=self.entropy,
            patience=patience or Patience(settings.quiet_s, settings.growing_s),
            effort=Effort(share=settings.inspect_share),
            clearing=clearing or Clearing(settings.clear, settings.clear_days),
            per_hub=settings.per_hub,
            profiles=profiles,
            on_step=self.on_step,
            listen=listen,
        )
        station.recover_entries()
        return station

    @property
    def archive_attached(self) -> bool:
        """Whether there is an archive and it is there now; True where none is set."""
        return not isinstance(self.objects, TieredObjects) or self.objects.is_attached

    @property
    def disposition_bounds(self) -> Bounds:
        """The bounds of dispositions."""
        settings = self.settings
        return Bounds(
            batch=settings.disposition_batch,
            brake_items=settings.brake_items,
            brake_share=settings.brake_share,
            cooling=timedelta(days=settings.cooling_days),
        )

    def build_destruction(self) -> Destruction:
        """Build the executor of dispositions."""
        return Destruction(
            catalogue=self.catalogue,
            objects=self.objects,
            rulebook=self.rulebook,
            bounds=self.disposition_bounds,
            key=self.ring.get_signing_key("centre"),
            trusted=self.trusted,
            on_step=self.on_step,
        )

    def build_recorders(self) -> list[Recorder]:
        """Build the recorders of this office's room cameras, and register the rooms' sources."""
        settings = self.settings
        rooms = settings.rooms | {name: camera.room for name, camera in settings.cameras.items()}
        with self.catalogue.write() as uow:
            for serial, room in sorted(rooms.items()):
                if people.find_source(uow.session, serial) is None:
                    people.add_source(
                        uow,
                        serial=serial,
                        kind=SourceKind.ROOM_CAMERA,
                        family="roomcamera" if serial in settings.cameras else "nvr",
                        label=room,
                        township=settings.township,
                        actor=SYSTEM,
                    )
        return recorders_of(settings, self.sandbox, self.journal, self.clock)

    def _take_station(self) -> None:
        if not self._lock:
            self._lock.append(hold_station(self.settings.home, self.settings.station))

    def close(self) -> None:
        """Let go of the databases, and of the station."""
        while self._lock:
            os.close(self._lock.pop())
        try:
            self.catalogue.close()
        finally:
            self.journal.close()


def known_stations(ring: KeyRing, catalogue: Catalogue) -> tuple[VerifyKey, ...]:
    """Return the keys of every station that ever signed: of this home, and enrolled ones.

    A key that only lies in the key folder, and that no entry of the log tells of, is none of them.
    """
    with catalogue.read() as session:
        return (*office_keys.trusted_stations(session, ring), *enrolment.list_keys(session))


def outage_probes(office: "Office") -> dict[tuple[str, ...], Callable[[], object]]:
    """Return probes that tell whether the office's database and store are reachable again."""

    def ask_catalogue() -> int:
        with office.catalogue.read() as session:
            return LogReader(session).size

    return {
        ("catalogue-unavailable", "catalogue"): ask_catalogue,
        ("store-unavailable",): office.objects.find_identity,
    }


def adopt_archive(office: "Office") -> ObjectStore:
    """Make the archive of the settings this office's; again changes nothing.

    An office that archived before knows its archive: without `archive-store.id` only one that
    holds what was archived is taken for it. Raises: ArchiveAwayError, StoreSetupError.
    """
    with office.catalogue.read() as session:
        rows = recordings.sample_recordings(session, archived=True)
    identity_file = office.settings.home / "archive-store.id"
    return attach_archive(office.settings, new=not identity_file.exists(), archived=rows)


def refuse_moved(home: Path) -> None:
    """Refuse a home whose office lives elsewhere by now. Raises: MovedError."""
    if (home / MOVED).exists():
        raise MovedError(home=str(home))


def _build_reception(settings: Settings, catalogue: Catalogue, on_step: Step) -> Reception:
    gib = 1 << 30
    allowance = Allowance(
        size=int(settings.hand_in_gb * gib),
        files=settings.hand_in_files,
        reserve=int(settings.spool_reserve_gb * gib),
        idle=timedelta(days=settings.hand_in_days),
    )
    return Reception.open_home(catalogue, settings.home / HANDED_IN, entropy, allowance, on_step)
