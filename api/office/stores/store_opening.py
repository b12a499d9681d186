"""Opens what an office keeps its rows and objects in: its catalogue, its object store, its archive.

A store is opened as the one that the office knows, or not at all: a disk that is not mounted, or a
bucket's name that leads elsewhere, is an empty place that looks like a new one.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from api.office.home_parts import HomeParts, folder_has_objects
from api.office.settings.settings import Settings
from api.office.stores.store_identity import (
    holds_payload,
    not_ours,
    recognise_store,
    remember_store,
)
from api.office.system import clock, entropy
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Catalogue
from storage.errors import ArchiveAwayError, StoreReplacedError, StoreSetupError
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.known_store import KnownStore
from storage.vault.objects import ObjectStore
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.s3_objects import S3Objects
from storage.vault.tiered_objects import TieredObjects

_STORE_S = 5.0  # a bucket that was right is not asked for its name again before


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


def make_bucket(settings: Settings) -> None:
    """Make the bucket of the settings; one that can keep evidence stays as it is.

    Raises: StoreSetupError, VaultError.
    """
    if settings.objects_url is not None:
        S3Objects(*_read_bucket_access(settings), entropy, clock).create_bucket()


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
        objects = S3Objects.open(*_read_bucket_access(settings), entropy, clock)
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
        objects = S3Objects.open(address, key, entropy, clock)
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


def _with_archive(settings: Settings, objects: ObjectStore) -> ObjectStore:
    if settings.archive is None:
        return objects
    opened: list[ObjectStore] = []  # a bucket is looked at once, a disk each time

    def attach_once() -> ObjectStore:
        if opened:
            return opened[0]
        archive = attach_archive(settings)
        if isinstance(archive, S3Objects):
            opened.append(archive)
        return archive

    return TieredObjects(objects, attach_once)


def _bucket_has_objects(settings: Settings) -> bool:
    try:
        return (
            next(S3Objects.open(*_read_bucket_access(settings), entropy, clock).keys(), None)
            is not None
        )
    except StoreSetupError:  # there is no such bucket yet, or none that could keep evidence
        return False


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
