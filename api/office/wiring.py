"""Builds every object once and hands out clock and randomness: the composition root.

`found` makes a new office (keys, tables, the log's first head), and nothing else does;
`Office.open` opens one that is whole. The rooms below read no settings, no clock and no randomness
but what they get from here.
"""

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from api.office.home_parts import HomeParts, folder_has_objects
from api.office.settings.office_record import (
    FOUNDING_SETTINGS,
    RECORD,
    check_default,
    office_record,
    read_record,
)
from api.office.settings.settings import CAMERAS_BAY, RecordWhen, Settings
from api.office.store_identity import holds_payload, not_ours, recognise_store, remember_store
from api.office.trusted_time import TrustedTime
from api.problems import ApiError
from ingest.bays.bay import Bay, Progress
from ingest.bays.settle import Patience
from ingest.cameras.room_camera import Camera, CameraState, Limits, Places, Recorder, landing_folder
from ingest.cameras.rtsp import Address
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
from policies.retention.disposition import Bounds
from policies.rules.rulebook import SHIPPED, load_rulebook
from policies.rules.rulebook_template import is_area_name
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
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.origin import is_new_origin
from storage.custody.signer import LogSigner
from storage.digest import Algorithm
from storage.errors import (
    ArchiveAwayError,
    FoundingUnaskedError,
    LiuhenError,
    NotFoundError,
    OfficeExistsError,
    StoreReplacedError,
    StoreSetupError,
)
from storage.signed.signing import VerifyKey
from storage.upkeep.destruction import Destruction
from storage.vault.folder_objects import FolderObjects
from storage.vault.keys import KeyRing
from storage.vault.known_store import KnownStore
from storage.vault.objects import ObjectStore
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.minio_objects import MinioObjects
from storage.vault.tiered_objects import TieredObjects

Step = Callable[[str], None]
Ask = Callable[[Settings], Settings]
MOVED = "moved.json"
_STORE_S = 5.0  # a bucket that was right is not asked for its name again before


def clock() -> datetime:
    """Return now, aware, in UTC."""
    return datetime.now(UTC)


def entropy(count: int) -> bytes:
    """Return random bytes of the operating system."""
    return os.urandom(count)


def outage_probes(office: "Office") -> dict[tuple[str, ...], Callable[[], object]]:
    """Return probes that tell whether the office's database and store are reachable again."""

    def ask_catalogue() -> int:
        with office.catalogue.read() as session:
            return LogReader(session).size

    return {
        ("catalogue-unavailable", "catalogue"): ask_catalogue,
        ("store-unavailable",): office.objects.find_identity,
    }


def software_version() -> str:
    """Return product and version, as sealed records carry it."""
    return f"liuhen {version('liuhen')}"


def known_stations(ring: KeyRing, catalogue: Catalogue) -> tuple[VerifyKey, ...]:
    """Return the keys of every station that ever signed: of this home, and enrolled ones.

    A key that only lies in the key folder, and that no entry of the log tells of, is none of them.
    """
    with catalogue.read() as session:
        return (*office_keys.trusted_stations(session, ring), *enrolment.list_keys(session))


class StationBusyError(LiuhenError):
    """Another process is this home's station already."""

    code = "station-busy"
    retryable = True


def open_catalogue(settings: Settings) -> Catalogue:
    """Return the catalogue of the settings; nothing is connected yet, and nothing made."""
    password = settings.database_password_file
    return Catalogue(
        settings.database,
        clock,
        entropy,
        password=_read_secret(password) if password is not None else None,
    )


def look_at_home(settings: Settings, catalogue: Catalogue, *, ask_store: bool = False) -> HomeParts:
    """Inspect a home for parts of an office; a bucket is asked only with `ask_store`.

    Raises: as `Catalogue.entries`; VaultError.
    """

    def has_objects() -> bool:
        if settings.objects_url is None:
            return folder_has_objects(settings.home / "objects")
        return ask_store and _bucket_has_objects(settings)

    return HomeParts.inspect_home(
        settings.home, settings.keys, catalogue.count_entries(), has_objects
    )


def _bucket_has_objects(settings: Settings) -> bool:
    try:
        return (
            next(MinioObjects.open(*_read_bucket_access(settings), entropy).keys(), None)
            is not None
        )
    except StoreSetupError:  # there is no such bucket yet, or none that could keep evidence
        return False


def make_bucket(settings: Settings) -> None:
    """Make the bucket of the settings; one that can keep evidence stays as it is.

    Raises: StoreSetupError, VaultError.
    """
    if settings.objects_url is not None:
        MinioObjects(*_read_bucket_access(settings), entropy).create_bucket()


def open_store(settings: Settings, catalogue: Catalogue) -> tuple[ObjectStore, KnownStore]:
    """Open the object store of the settings, the same one as ever; the second watches that it is.

    Raises: StoreSetupError (cannot keep evidence, or nothing says that it is this office's),
    StoreReplacedError (is not the store that this office knows).
    """
    memory, root = settings.home / "object-store.id", settings.home / "objects"
    rows: Sequence[RecordingRow] = ()
    if not memory.exists():
        with catalogue.read() as session:
            rows = recordings.sample_recordings(session)
    objects: ObjectStore
    if settings.objects_url is not None:
        objects = MinioObjects.open(*_read_bucket_access(settings), entropy)
    elif (
        rows or memory.exists()
    ) and not root.is_dir():  # never made anew: a disk may not be mounted
        raise StoreReplacedError(store=str(root), found="-", known="-")
    else:
        objects = FolderObjects(root, entropy, immutable=settings.immutable)
    where = settings.objects_url or str(root.absolute())
    # A foreign store is refused before anything is written to it.
    name = recognise_store(memory, objects, rows, where)
    known_store = KnownStore(
        objects, name, where, time.monotonic, _STORE_S if settings.objects_url else 0.0
    )
    return _with_archive(settings, objects), known_store


def _with_archive(settings: Settings, objects: ObjectStore) -> ObjectStore:
    if settings.archive is None:
        return objects
    opened: list[ObjectStore] = []  # a bucket is looked at once, a disk each time

    def attach_once() -> ObjectStore:
        if opened:
            return opened[0]
        archive = attach_archive(settings)
        if isinstance(archive, MinioObjects):
            opened.append(archive)
        return archive

    return TieredObjects(objects, attach_once)


def adopt_archive(office: "Office") -> ObjectStore:
    """Make the archive of the settings this office's; again changes nothing.

    An office that archived before knows its archive: without `archive-store.id` only one that
    holds what was archived is taken for it. Raises: ArchiveAwayError, StoreSetupError.
    """
    with office.catalogue.read() as session:
        rows = recordings.sample_recordings(session, archived=True)
    identity_file = office.settings.home / "archive-store.id"
    return attach_archive(office.settings, new=not identity_file.exists(), archived=rows)


def attach_archive(
    settings: Settings, *, new: bool = False, archived: Sequence[RecordingRow] = ()
) -> ObjectStore:
    """Open the archive, the same one as ever; `new` makes it this office's.

    A disk that is not mounted is an empty folder: nothing is ever made in one unasked, nor where
    it should hold what was `archived`.
    Raises: ArchiveAwayError, StoreSetupError.
    """
    where = settings.archive
    if where is None:
        raise ArchiveAwayError(problem="no archive is set", archive="LIUHEN_ARCHIVE")
    objects: ObjectStore
    if where.startswith("s3://"):
        address, key = _read_bucket_access(settings)
        address = S3Address.parse(where, settings.objects_ca_file)
        objects = MinioObjects.open(address, key, entropy)
    elif (new and not archived) or (Path(where) / "store.json").is_file():
        objects = FolderObjects(Path(where), entropy, immutable=settings.immutable)
    else:
        raise ArchiveAwayError(problem="the archive is not attached", archive=where)
    identity_file = settings.home / "archive-store.id"
    if new and not identity_file.exists():
        for row in archived:
            if not holds_payload(objects, row):
                raise not_ours(identity_file, row, where)
        remember_store(identity_file, objects)
    if (
        not identity_file.exists()
        or identity_file.read_text(encoding="utf-8") != objects.find_identity()
    ):
        raise ArchiveAwayError(problem="another archive than this office knows", archive=where)
    return objects


def _read_bucket_access(settings: Settings) -> tuple[S3Address, S3Key]:
    access, secret = settings.objects_access_key_file, settings.objects_secret_file
    if settings.objects_url is None or access is None or secret is None:
        raise StoreSetupError(
            bucket="",
            problem="no key files",
            mend="LIUHEN_OBJECTS_ACCESS_KEY_FILE, LIUHEN_OBJECTS_SECRET_FILE",
        )
    key = S3Key(_read_secret(access), _read_secret(secret))
    return S3Address.parse(settings.objects_url, settings.objects_ca_file), key


def _read_secret(path: Path) -> str:
    """Return a secret from its own file, without the line's end. Raises: StoreSetupError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StoreSetupError(bucket="", problem="secret unreadable", mend=str(path)) from error


class MovedError(LiuhenError):
    """The office was moved to another place: two of one log must never grow apart."""

    code = "moved"


def hold_station(home: Path, name: str) -> int:
    """Lock the home's station until the returned file handle is closed.

    Raises: StationBusyError.
    """
    handle = os.open(home / "station.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StationBusyError(station=name) from error
    return handle


def bays_of(settings: Settings) -> list[Bay]:
    """Return the bays and landing folders of the settings; recorded cameras land in one more."""
    quiet = settings.landing_quiet_s
    bays = [
        Bay(name, root, hub=settings.hubs.get(name)) for name, root in sorted(settings.bays.items())
    ] + [
        Bay(name, root, landing=True, quiet_s=quiet)
        for name, root in sorted(settings.landing.items())
    ]
    if settings.cameras:
        bays.append(Bay(CAMERAS_BAY, landing_folder(_cameras_home(settings)), landing=True))
    return bays


def _cameras_home(settings: Settings) -> Path:
    return settings.home / "cameras"


def camera_places(settings: Settings, name: str) -> Places:
    """Return a camera's folders."""
    return Places.for_camera(_cameras_home(settings), name)


def cameras_of(settings: Settings) -> list[Camera]:
    """Return the room cameras of the settings, by name."""
    return [
        Camera(
            name,
            Address.parse(camera.url),
            camera.room,
            camera.user,
            camera.password_file,
            always=camera.when is RecordWhen.ALWAYS,
        )
        for name, camera in sorted(settings.cameras.items())
    ]


def recorders_of(
    settings: Settings, sandbox: Sandbox, journal: Journal, now: Callable[[], datetime]
) -> list[Recorder]:
    """Return a recorder for each room camera; what each does is shown like a bay."""
    limits = Limits(
        segment_s=settings.camera_segment_s,
        most=settings.camera_most_mbit * 1e6 / 8,
        reserve=int(settings.camera_reserve_gb * (1 << 30)),
    )

    def make_reporter(camera: Camera) -> Callable[[CameraState, str | None], None]:
        def report_state(state: CameraState, reason: str | None) -> None:
            journal.show_bay(
                camera.name,
                state=state,
                source=camera.name,
                files_total=0,
                files_done=0,
                bytes_total=0,
                bytes_done=0,
                current=camera.room,
                reason=reason,
                facts={},
            )

        return report_state

    return [
        Recorder(
            camera,
            camera_places(settings, camera.name),
            sandbox,
            now,
            time.monotonic,
            entropy,
            limits,
            make_reporter(camera),
        )
        for camera in cameras_of(settings)
    ]


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
            _refuse_moved(settings.home)
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
        check_default(settings.keys, settings.township, rows.get(settings.station))

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
                        actor="system",
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


def _build_reception(settings: Settings, catalogue: Catalogue, on_step: Step) -> Reception:
    gib = 1 << 30
    allowance = Allowance(
        size=int(settings.hand_in_gb * gib),
        files=settings.hand_in_files,
        reserve=int(settings.spool_reserve_gb * gib),
        idle=timedelta(days=settings.hand_in_days),
    )
    return Reception.open_home(catalogue, settings.home / HANDED_IN, entropy, allowance, on_step)


def refuse_unasked(settings: Settings) -> Settings:
    """Require every setting that founding needs; return the settings.

    Raises: FoundingUnaskedError.
    """
    if unset_names := [name for name in FOUNDING_SETTINGS if not getattr(settings, name)]:
        names = "、".join(f"LIUHEN_{name.upper()}" for name in unset_names)
        raise FoundingUnaskedError(settings=names)
    return settings


def with_record(settings: Settings) -> Settings:
    """Fill empty settings from the office record."""
    record = read_record(settings.keys)
    update = {name: text for name, text in record.items() if not getattr(settings, name)}
    return settings.model_copy(update=update)


def _check_asked(settings: Settings) -> None:
    """Refuse a county, township or origin that no new office may have. Raises: ApiError."""
    for name in (settings.county, settings.township):
        if not is_area_name(name):
            raise ApiError("area-name", name=name[:80])
    if not is_new_origin(settings.log_origin):
        raise ApiError("origin-name", origin=settings.log_origin[:80])


def found_office(
    settings: Settings, recovery_out: Path | None = None, ask: Ask = refuse_unasked
) -> Office:
    """Make a new office: keys, tables, the log's empty head, its station.

    `ask` completes the settings with county, township and log origin, or refuses. A founding that
    was cut short is gone on with. Nothing is ever overwritten, and nothing made beside parts of an
    office.
    Raises: OfficeExistsError, OfficePartsError, StationHomeError, MovedError, KeyRingError,
    FoundingUnaskedError, ApiError (area-name, origin-name).
    """
    _refuse_moved(settings.home)
    catalogue = open_catalogue(settings)
    try:
        parts = look_at_home(settings, catalogue, ask_store=True)
    finally:
        catalogue.close()
    # Parts of a lost office are never built upon: new keys could not open its footage.
    parts.require_room()
    recovery = recovery_out or settings.recovery_out
    # A founding that was cut short goes on with the keys that it made.
    has_keys = parts.keys or KeyRing.finish_creation(settings.keys, recovery)
    # County and origin were fixed with the keys; a retry must not ask or change them.
    settings = with_record(settings) if has_keys else ask(settings)
    if not has_keys:
        _check_asked(settings)
    make_bucket(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    if not has_keys:
        KeyRing.create(
            settings.keys,
            station=settings.station,
            origin=settings.log_origin,
            recovery_out=recovery,
            entropy=entropy,
            documents={RECORD: office_record(settings.county, settings.township)},
        )
    with ExitStack() as undo:
        office = Office.open_empty(settings)
        undo.callback(office.close)
        if not office.signer.has_begun:
            office.signer.begin_log(clock())
        office.log_rules()
        _add_own_station(office)
        undo.pop_all()
    return office


def found_or_open(
    settings: Settings, recovery_out: Path | None = None, ask: Ask = refuse_unasked
) -> Office:
    """Found the office, or open the one that is there, with a station of the settings' name.

    Raises: as `found` and `Office.open`.
    """
    try:
        return found_office(settings, recovery_out, ask)
    except OfficeExistsError:
        with ExitStack() as undo:
            office = Office.open(settings)
            undo.callback(office.close)
            _add_own_station(office)
            undo.pop_all()
        return office


def _add_own_station(office: Office) -> None:
    settings = office.settings
    with office.catalogue.write() as uow:
        try:
            people.get_station(uow.session, settings.station)
        except NotFoundError:
            people.add_station(
                uow,
                id=settings.station,
                name=settings.station_name,
                township=settings.township,
                actor="system",
            )


def _refuse_moved(home: Path) -> None:
    if (home / MOVED).exists():
        raise MovedError(home=str(home))
