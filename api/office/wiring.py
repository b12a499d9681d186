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
    ASKED,
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
from ingest.cameras.room_camera import Camera, CameraState, Limits, Places, Recorder, landed
from ingest.cameras.rtsp import Address
from ingest.centre.accession import LocalCentre
from ingest.centre.hand_in import BAY as HANDED_IN
from ingest.centre.hand_in import Allowance, Reception
from ingest.centre.receipts import Receipts
from ingest.centre.uploads import Uploads
from ingest.media.sandbox import Effort, Sandbox
from ingest.station.clear import Clearing
from ingest.station.journal import Journal
from ingest.station.seal import Seal
from ingest.station.station import Station
from policies.facts.terms import SourceKind
from policies.retention.disposition import Bounds
from policies.rules.rulebook import SHIPPED, load
from policies.rules.rulebook_template import is_area_name
from policies.rules.rules import Rulebook
from policies.time.trusted_time import Told
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
    """Return what asks the office's database and store whether they are back."""

    def ask_catalogue() -> int:
        with office.catalogue.read() as session:
            return LogReader(session).size

    return {
        ("catalogue-unavailable", "catalogue"): ask_catalogue,
        ("store-unavailable",): office.objects.find_identity,
    }


def software() -> str:
    """Return product and version, as sealed records carry it."""
    return f"liuhen {version('liuhen')}"


def known_stations(ring: KeyRing, catalogue: Catalogue) -> tuple[VerifyKey, ...]:
    """Return the keys of every station that ever signed: of this home, and enrolled ones.

    A key that only lies in the key folder, and that no entry of the log tells of, is none of them.
    """
    with catalogue.read() as session:
        return (*office_keys.trusted_stations(session, ring), *enrolment.keys(session))


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
        password=_secret(password) if password is not None else None,
    )


def look_at_home(settings: Settings, catalogue: Catalogue, *, ask_store: bool = False) -> HomeParts:
    """Return which parts of an office are there; a bucket is asked only where `ask_store` is said.

    Raises: as `Catalogue.entries`; VaultError.
    """

    def has_objects() -> bool:
        if settings.objects_url is None:
            return folder_has_objects(settings.home / "objects")
        return ask_store and _bucket_has_objects(settings)

    return HomeParts.look(settings.home, settings.keys, catalogue.entries(), has_objects)


def _bucket_has_objects(settings: Settings) -> bool:
    try:
        return next(MinioObjects.open(*_bucket(settings), entropy).keys(), None) is not None
    except StoreSetupError:  # there is no such bucket yet, or none that could keep evidence
        return False


def make_bucket(settings: Settings) -> None:
    """Make the bucket of the settings; one that can keep evidence stays as it is.

    Raises: StoreSetupError, VaultError.
    """
    if settings.objects_url is not None:
        MinioObjects(*_bucket(settings), entropy).create_bucket()


def open_store(settings: Settings, catalogue: Catalogue) -> tuple[ObjectStore, KnownStore]:
    """Open the object store of the settings, the same one as ever; the second watches that it is.

    Raises: StoreSetupError (cannot keep evidence, or nothing says that it is this office's),
    StoreReplacedError (is not the store that this office knows).
    """
    memory, root = settings.home / "object-store.id", settings.home / "objects"
    rows: Sequence[RecordingRow] = ()
    if not memory.exists():
        with catalogue.read() as session:
            rows = recordings.samples(session)
    objects: ObjectStore
    if settings.objects_url is not None:
        objects = MinioObjects.open(*_bucket(settings), entropy)
    elif (
        rows or memory.exists()
    ) and not root.is_dir():  # never made anew: a disk may not be mounted
        raise StoreReplacedError(store=str(root), found="-", known="-")
    else:
        objects = FolderObjects(root, entropy, immutable=settings.immutable)
    where = settings.objects_url or str(root.absolute())
    name = recognise_store(memory, objects, rows, where)
    known = KnownStore(
        objects, name, where, time.monotonic, _STORE_S if settings.objects_url else 0.0
    )
    return _with_archive(settings, objects), known


def _with_archive(settings: Settings, objects: ObjectStore) -> ObjectStore:
    if settings.archive is None:
        return objects
    opened: list[ObjectStore] = []  # a bucket is looked at once, a disk each time

    def attach() -> ObjectStore:
        if opened:
            return opened[0]
        found = attach_archive(settings)
        if isinstance(found, MinioObjects):
            opened.append(found)
        return found

    return TieredObjects(objects, attach)


def adopt_archive(office: "Office") -> ObjectStore:
    """Make the archive of the settings this office's; again changes nothing.

    An office that archived before knows its archive: without `archive-store.id` only one that
    holds what was archived is taken for it. Raises: ArchiveAwayError, StoreSetupError.
    """
    with office.catalogue.read() as session:
        rows = recordings.samples(session, archived=True)
    known = office.settings.home / "archive-store.id"
    return attach_archive(office.settings, new=not known.exists(), archived=rows)


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
        address, key = _bucket(settings)
        address = S3Address.parse(where, settings.objects_ca_file)
        objects = MinioObjects.open(address, key, entropy)
    elif (new and not archived) or (Path(where) / "store.json").is_file():
        objects = FolderObjects(Path(where), entropy, immutable=settings.immutable)
    else:
        raise ArchiveAwayError(problem="the archive is not attached", archive=where)
    known = settings.home / "archive-store.id"
    if new and not known.exists():
        for row in archived:
            if not holds_payload(objects, row):
                raise not_ours(known, row, where)
        remember_store(known, objects)
    if not known.exists() or known.read_text(encoding="utf-8") != objects.find_identity():
        raise ArchiveAwayError(problem="another archive than this office knows", archive=where)
    return objects


def _bucket(settings: Settings) -> tuple[S3Address, S3Key]:
    access, secret = settings.objects_access_key_file, settings.objects_secret_file
    if settings.objects_url is None or access is None or secret is None:
        raise StoreSetupError(
            bucket="",
            problem="no key files",
            mend="LIUHEN_OBJECTS_ACCESS_KEY_FILE, LIUHEN_OBJECTS_SECRET_FILE",
        )
    key = S3Key(_secret(access), _secret(secret))
    return S3Address.parse(settings.objects_url, settings.objects_ca_file), key


def _secret(path: Path) -> str:
    """Return a secret from its own file, without the line's end. Raises: StoreSetupError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StoreSetupError(bucket="", problem="secret unreadable", mend=str(path)) from error


class MovedError(LiuhenError):
    """The office was moved to another place: two of one log must never grow apart."""

    code = "moved"


def hold_station(home: Path, name: str) -> int:
    """Be the one station process of this home until the returned handle is closed.

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
    found = [
        Bay(name, root, hub=settings.hubs.get(name)) for name, root in sorted(settings.bays.items())
    ] + [
        Bay(name, root, landing=True, quiet_s=quiet)
        for name, root in sorted(settings.landing.items())
    ]
    if settings.cameras:
        found.append(Bay(CAMERAS_BAY, landed(_cameras_home(settings)), landing=True))
    return found


def _cameras_home(settings: Settings) -> Path:
    return settings.home / "cameras"


def camera_places(settings: Settings, name: str) -> Places:
    """Return a camera's folders."""
    return Places.of(_cameras_home(settings), name)


def cameras_of(settings: Settings) -> list[Camera]:
    """Return the room cameras of the settings, by name."""
    return [
        Camera(
            name,
            Address.parse(one.url),
            one.room,
            one.user,
            one.password_file,
            always=one.when is RecordWhen.ALWAYS,
        )
        for name, one in sorted(settings.cameras.items())
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

    def teller(camera: Camera) -> Callable[[CameraState, str | None], None]:
        def tell(state: CameraState, reason: str | None) -> None:
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

        return tell

    return [
        Recorder(
            camera,
            camera_places(settings, camera.name),
            sandbox,
            now,
            time.monotonic,
            entropy,
            limits,
            teller(camera),
        )
        for camera in cameras_of(settings)
    ]


def _silent(_step: str) -> None:
    """Take no notice."""


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
    trusted: Callable[[], Sequence[Told]]
    clock: Callable[[], datetime] = clock
    monotonic: Callable[[], float] = time.monotonic
    entropy: Callable[[int], bytes] = entropy
    on_step: Step = _silent
    _sandbox: list[Sandbox] = field(default_factory=list)
    _lock: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, settings: Settings, on_step: Step = _silent, *, moved: bool = False) -> "Office":
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
            look_at_home(settings, catalogue).require_office()
            office = cls._over(catalogue, settings, on_step)
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
            rows = {row.id: row.township for row in people.stations(session)}
        check_default(settings.keys, settings.township, rows.get(settings.station))

    def log_rules(self) -> None:
        """Have the log hold its chains and the office's keys, and know which rules judge now."""
        begin_chains(self.catalogue)
        office_keys.log_office_keys(self.catalogue, self.ring)
        log_rulebook(self.catalogue, self.rulebook)

    @classmethod
    def begin(cls, settings: Settings, on_step: Step = _silent) -> "Office":
        """Open an office whose catalogue is filled next: by its founding, or by a move.

        The caller has made sure that nothing of another office is there. Raises: as `open`.
        """
        with ExitStack() as undo:
            catalogue = open_catalogue(settings)
            undo.callback(catalogue.close)
            catalogue.migrate(new=True)
            office = cls._over(catalogue, settings, on_step)
            undo.pop_all()
        return office

    @classmethod
    def _over(cls, catalogue: Catalogue, settings: Settings, on_step: Step) -> "Office":
        """Build an office over its catalogue, which stays the caller's to close if this raises."""
        home, ring = settings.home, KeyRing.load(settings.keys)
        catalogue.migrate()
        objects, known_store = open_store(settings, catalogue)
        log = ring.verifying("log")
        state = home / "log-signer" / "head"
        signer = LogSigner(ring.signing("log"), log.name, state, log.former)
        catalogue.trust_heads(signer.last_head)
        rulebook = load(settings.rulebook or SHIPPED, settings.county)
        centre = LocalCentre(
            catalogue=catalogue,
            objects=objects,
            receipts=Receipts(catalogue, signer, home / "log", ring.signing("centre")),
            stations=lambda: known_stations(ring, catalogue),
            rulebook=rulebook,
            station=settings.station,
            recipients=frozenset(key.kid for key in ring.recipients),
            scene_key=ring.scene_key,
            on_step=on_step,
            check_store=known_store.check,
        )
        uploads = Uploads(catalogue, objects, home / "uploads")
        reception = _reception(settings, catalogue, on_step)
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
    def stations(self) -> tuple[VerifyKey, ...]:
        """The keys of every station whose sealed records are trusted."""
        return known_stations(self.ring, self.catalogue)

    def bays(self) -> list[Bay]:
        """Return the bays and landing folders of the settings."""
        return bays_of(self.settings)

    @property
    def handed_in(self) -> Bay:
        """The bay of what persons hand in; its files are whole when they are there."""
        return Bay(HANDED_IN, self.reception.bay, landing=True, quiet_s=0, handed=self.reception)

    def station(
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
        Raises: StationBusyError.
        """
        self._take_station()
        settings = self.settings
        # On S3 others may always be writing: there the `sweep` job waits.
        if alone and settings.objects_url is None:
            with self.catalogue.read() as session:
                self.objects.sweep(uploads.oldest(session) or self.clock())
        algorithms = (Algorithm.SHA256, Algorithm.SM3) if settings.sm3 else (Algorithm.SHA256,)
        station = Station(
            journal=self.journal,
            centre=self.centre,
            sandbox=self.sandbox,
            seal=Seal(
                station=settings.station,
                key=self.ring.signing(f"station-{settings.station}"),
                recipients=self.ring.recipients,
                algorithms=algorithms,
                software=software(),
                operator=operator,
            ),
            centre_key=self.ring.verifying("centre"),
            log_key=self.ring.verifying("log"),
            clock=self.clock,
            monotonic=self.monotonic,
            entropy=self.entropy,
            patience=patience or Patience(settings.quiet_s, settings.growing_s),
            effort=Effort(share=settings.inspect_share),
            clearing=clearing or Clearing(settings.clear, settings.clear_days),
            per_hub=settings.per_hub,
            on_step=self.on_step,
            listen=listen,
        )
        station.recover()
        return station

    @property
    def archive_attached(self) -> bool:
        """Whether there is an archive and it is there now; True where none is set."""
        return not isinstance(self.objects, TieredObjects) or self.objects.attached

    @property
    def bounds(self) -> Bounds:
        """The bounds of dispositions."""
        settings = self.settings
        return Bounds(
            batch=settings.disposition_batch,
            brake_items=settings.brake_items,
            brake_share=settings.brake_share,
            cooling=timedelta(days=settings.cooling_days),
        )

    def destruction(self) -> Destruction:
        """Build what executes dispositions."""
        return Destruction(
            catalogue=self.catalogue,
            objects=self.objects,
            rulebook=self.rulebook,
            bounds=self.bounds,
            key=self.ring.signing("centre"),
            trusted=self.trusted,
            on_step=self.on_step,
        )

    def recorders(self) -> list[Recorder]:
        """Build the recorders of this office's room cameras, and register the rooms' sources."""
        settings = self.settings
        rooms = settings.rooms | {name: one.room for name, one in settings.cameras.items()}
        with self.catalogue.write() as uow:
            for serial, room in sorted(rooms.items()):
                if people.source(uow.session, serial) is None:
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


def _reception(settings: Settings, catalogue: Catalogue, on_step: Step) -> Reception:
    gib = 1 << 30
    allowance = Allowance(
        size=int(settings.hand_in_gb * gib),
        files=settings.hand_in_files,
        reserve=int(settings.spool_reserve_gb * gib),
        idle=timedelta(days=settings.hand_in_days),
    )
    return Reception.over(catalogue, settings.home / HANDED_IN, entropy, allowance, on_step)


def refuse_unasked(settings: Settings) -> Settings:
    """Return the settings if they say all that must be known at founding.

    Raises: FoundingUnaskedError.
    """
    if missing := [name for name in ASKED if not getattr(settings, name)]:
        names = "、".join(f"LIUHEN_{name.upper()}" for name in missing)
        raise FoundingUnaskedError(settings=names)
    return settings


def with_record(settings: Settings) -> Settings:
    """Return the settings with what the office's record says where they say nothing."""
    record = read_record(settings.keys)
    update = {name: value for name, value in record.items() if not getattr(settings, name)}
    return settings.model_copy(update=update)


def _check_asked(settings: Settings) -> None:
    """Refuse a county, township or origin that no new office may have. Raises: ApiError."""
    for name in (settings.county, settings.township):
        if not is_area_name(name):
            raise ApiError("area-name", name=name[:80])
    if not is_new_origin(settings.log_origin):
        raise ApiError("origin-name", origin=settings.log_origin[:80])


def found(
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
    parts.require_room()
    recovery = recovery_out or settings.recovery_out
    held = parts.keys or KeyRing.finish(settings.keys, recovery)
    settings = with_record(settings) if held else ask(settings)
    if not held:
        _check_asked(settings)
    make_bucket(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    if not held:
        KeyRing.create(
            settings.keys,
            station=settings.station,
            origin=settings.log_origin,
            recovery_out=recovery,
            entropy=entropy,
            documents={RECORD: office_record(settings.county, settings.township)},
        )
    with ExitStack() as undo:
        office = Office.begin(settings)
        undo.callback(office.close)
        if not office.signer.begun:
            office.signer.begin(clock())
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
        return found(settings, recovery_out, ask)
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
            people.station(uow.session, settings.station)
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
