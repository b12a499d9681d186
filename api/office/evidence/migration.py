"""Move an embedded office to a county's server: objects, log, catalogue and keys, custody unbroken.

The office keeps its keys, its log and its last signed head, so every receipt, bundle and witness
of before verifies afterwards. Order: the old home is held still and found whole -> objects are
copied, read back and locked -> keys, tiles and the signer's memory -> all rows in one transaction
-> everything is checked at the new place -> the old home is marked as moved and opens no more ->
the first new entry says so. Each step finds out whether it was done before.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from api.office.evidence.integrity_check import whole_check
from api.office.founding import with_record
from api.office.settings.office_record import keep_record
from api.office.settings.settings import Settings
from api.office.station_parts import hold_station
from api.office.stores.store_opening import look_at_home, make_bucket, open_catalogue
from api.office.wiring import MOVED, Office
from ingest.sources.profile_files import OWN as OWN_PROFILES
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.log import custody_log
from storage.catalogue.proofs.publish import publish_head
from storage.catalogue.transfer import copy_rows, count_rows
from storage.custody.entries.event import PremisType
from storage.durable import replace_file, sync_folder
from storage.errors import ConflictError, FixityError
from storage.signed import canonical
from storage.vault.objects import ObjectStore, limit_lock_date

_READ = 4 << 20
_FOLDERS = ("keys", "log", "log-signer")
Heard = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: objects with their bytes, rows, and the log's size and head."""

    objects: int
    size: int
    rows: int
    entries: int
    head: str


def migrate_office(
    old_home: Path, settings: Settings, heard: Heard = lambda _step, _n: None
) -> Moved:
    """Move the office in `old_home` to where `settings` point; the new place must be empty.

    Cut short anywhere, the same call goes on. Raises: ConflictError (the old office is not whole,
    the new place holds something else, or not everything arrived), StationBusyError, VaultError.
    """
    old_settings = Settings.of_home(old_home)
    _require_office(old_settings)
    # Resolved: the same folder by a link, or by another way, would be moved onto itself.
    if old_home.resolve() == settings.home.resolve():
        raise ConflictError(problem="old and new home are the same")
    # A running station of the old home could seal footage that is then left behind.
    lock = hold_station(old_home, old_settings.station)
    try:
        # Even when marked as moved: a migration that was killed right after the mark goes on here.
        old = Office.open(old_settings, moved=True)
        try:
            return _move_office(old, settings, heard)
        finally:
            old.close()
    finally:
        os.close(lock)


def _require_office(settings: Settings) -> None:
    """Make sure that there is an office, before so much as a lock is made beside it."""
    catalogue = open_catalogue(settings)
    try:
        # A folder that was named by mistake is left without a trace.
        look_at_home(settings, catalogue).require_office()
    finally:
        catalogue.close()


def _move_office(old: Office, settings: Settings, heard: Heard) -> Moved:
    # The last head at the old place: all that it covers must arrive at the new one.
    head = publish_head(old.catalogue, old.signer, old.settings.home / "log")
    # A damaged office is not moved: the damage would look like the move's doing.
    if wrong := list(whole_check(old)):
        raise ConflictError(problem="the old office is not whole", first=wrong[0].en)
    # Hand-ins lie in the old home's folder alone; the move copies only accessioned objects.
    if old.reception.has_waiting_files():
        raise ConflictError(problem="what persons handed in is not taken in yet")
    make_bucket(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)  # as at founding
    for name in _FOLDERS:
        _copy_folder(old.settings.home / name, settings.home / name)
    # Without its own profiles a recorder's next footage would be nobody's at the new place.
    if (old.settings.home / OWN_PROFILES).is_dir():
        _copy_folder(old.settings.home / OWN_PROFILES, settings.home / OWN_PROFILES)
    # After the keys: the office's record lies beside them.
    settings = _same_place(old.settings, settings)
    new = Office.open_empty(
        settings
    )  # its catalogue is empty beside a signed head until all is here
    try:
        # Bytes before rows, as at intake: a row at the new place never names an object that is not
        # there.
        objects, size = _copy_objects(old.objects, new.objects, heard)
        copy_rows(old.catalogue, new.catalogue, heard)
        # Asked while the old one still opens: what fails here has lost nothing.
        _check_arrival(old, new)
        moved = settings.database.partition("://")[0]
        # From here the old home opens no more: two logs of one origin would be a fork.
        replace_file(old.settings.home / MOVED, canonical.encode({"to": moved}))
        _log_move(new, objects, size)
        publish_head(new.catalogue, new.signer, new.settings.home / "log")
        with new.catalogue.read() as session:
            entries = custody_log.LogReader(session).size
        return Moved(objects, size, sum(count_rows(new.catalogue).values()), entries, head)
    finally:
        new.close()


def _same_place(old: Settings, settings: Settings) -> Settings:
    """Return the new settings with the old county and township, or their own; both are kept."""
    names = {name: getattr(settings, name) or getattr(old, name) for name in ("county", "township")}
    keep_record(settings.keys, **names)
    return with_record(settings.model_copy(update=names))


def _check_arrival(old: Office, new: Office) -> None:
    """Make sure that everything arrived. Raises: ConflictError."""
    with old.catalogue.read() as ours, new.catalogue.read() as theirs:
        size = custody_log.LogReader(ours).size
        before = custody_log.LogReader(ours).compute_root(size)
        # The root of the tree over all entries: one comparison for every leaf and its place.
        if custody_log.LogReader(theirs).compute_root(size) != before:
            raise ConflictError(problem="the log did not arrive as it was")
    if (missing_keys := set(old.objects.keys()) - set(new.objects.keys())) != set():
        raise ConflictError(problem="objects are missing", first=min(missing_keys))
    if wrong := list(whole_check(new)):
        raise ConflictError(problem="the new office is not whole", first=wrong[0].en)


def _log_move(new: Office, objects: int, size: int) -> None:
    """Write the move into the log, once."""
    with new.catalogue.read() as session:
        # Asked by subject: the call that goes on after a kill finds its entry, and writes no second
        # one.
        if custody_log.LogReader(session).events_of("system:migrate"):
            return
    with new.catalogue.write() as unit:
        unit.record(
            "office.migrate",
            PremisType.TRANSFER,
            actor=SYSTEM,
            subject=Subject("system:migrate"),
            objects=objects,
            bytes=size,
            database=new.settings.database.partition("://")[0],
            store="s3" if new.settings.objects_url else "folder",
        )


def _copy_objects(old: ObjectStore, new: ObjectStore, heard: Heard) -> tuple[int, int]:
    count = total = 0
    for key in sorted(old.keys()):
        facts = old.facts(key)
        stored = new.put(key, _read_blocks(old, key, facts.size))
        # The source is read a second time: one bad read would be copied as if it were right.
        if stored.size != facts.size or stored.digest != old.digest(key):
            raise FixityError(part=key, problem="copied object differs")
        # Locked as soon as it is there: the copy must be no easier to delete than the original.
        if facts.retain_until is not None:
            new.lock(key, limit_lock_date(facts.retain_until))
        if facts.on_hold:
            new.hold(key)
        count, total = count + 1, total + facts.size
        heard("objects", facts.size)
    return count, total


def _read_blocks(store: ObjectStore, key: str, size: int) -> Iterator[bytes]:
    for offset in range(0, size, _READ):
        yield store.read(key, offset, _READ)


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder whole and durably; one that is there already must hold the same."""
    if target.exists():
        for path in source.rglob("*"):
            there = target / path.relative_to(source)
            # A retry finds its own copy; another office's keys must never be taken for it.
            if path.is_file() and path.suffix in {".key", ".sign", ".pub", ".verify", ".mac"}:
                same = there.is_file() and there.read_bytes() == path.read_bytes()
                if not same:
                    raise ConflictError(problem="the new home has other keys", file=path.name)
        return
    # Made beside it under a hidden name: what a kill leaves is removed by the next call.
    making = target.with_name(f".{target.name}.moving")
    shutil.rmtree(making, ignore_errors=True)
    shutil.copytree(source, making, copy_function=shutil.copy2)
    for path in making.rglob("*"):
        if path.is_file():
            # Durable before the rename: a name that leads to empty files would be a key ring lost.
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    # One rename: a crash leaves the whole folder or none, never half a key ring.
    making.rename(target)
    sync_folder(target.parent)
