"""Everything that an office keeps, checked: database, log and objects; what is wrong, in words."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from api.office.wiring import Office
from api.texts.tables import load_pairs
from storage.catalogue.audit.audit import audit
from storage.catalogue.jobs import jobs
from storage.catalogue.log.discrepancy import Discrepancy, What
from storage.catalogue.proofs.office_keys import unenrolled
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import dispositions
from storage.catalogue.tables import RecordingRow
from storage.errors import LiuhenError
from storage.upkeep.destruction import keys_of
from storage.upkeep.fixity import Fault, Fixity, Kept
from storage.vault.keys import KeyRing

WORDS = load_pairs("integrity")


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, ready to be shown."""

    what: str
    subject: str
    facts: dict[str, Any]

    @property
    def zh(self) -> str:
        """Say it in Chinese."""
        return f"{WORDS[self.what][0]}:{self.subject}"

    @property
    def en(self) -> str:
        """Say it in English."""
        return f"{WORDS[self.what][1]}: {self.subject}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "what": self.what,
            "subject": self.subject,
            "zh": self.zh,
            "en": self.en,
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """Result of checking everything: recordings read, what is wrong, objects without a row."""

    recordings: int
    wrong: list[Wrong]
    orphans: list[str]

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong; orphans are no faults."""
        return not self.wrong


def whole_check(
    office: Office, progress: Callable[[str, int], None] = lambda _recording, _size: None
) -> Iterator[Wrong]:
    """Yield everything that is wrong; nothing, if all is as it was sealed and logged."""
    yield from catalogue_check(office)
    yield from modes_check(office)
    with office.catalogue.read() as session:
        rows = list(recordings.everything(session))
        everything = [kept(row) for row in rows if row.destroyed_at is None]
        destroyed = [row.id for row in rows if dispositions.destroyed(session, row)]
        gone = {one: keys_of(session, one) for one in destroyed}
    fixity = fixity_of(office, progress)
    for fault in fixity.check(everything):
        yield _wrong(fault)
    for fault in chain(fixity.leftovers(gone), fixity.strangers()):
        yield _wrong(fault)


def catalogue_check(office: Office, part: range | None = None) -> Iterator[Wrong]:
    """Yield what is wrong with rows, log and keys; of `part`, the entries of these numbers."""
    signed = None
    try:
        signed = office.signer.last()
    except LiuhenError as error:
        yield Wrong(What.EDITED_CHECKPOINT, "the signer's last head", error.facts)
    folder, keys = office.settings.home / "log", office.signer.keys
    with office.catalogue.read() as session:
        for found in audit(session, keys, signed=signed, folder=folder, part=part):
            yield _wrong(found)
        for found in unenrolled(session, KeyRing.load(office.settings.keys)):
            yield _wrong(found)


def modes_check(office: Office, part: range | None = None) -> Iterator[Wrong]:
    """Yield the modes by which others on this machine get at what they must not.

    With `part`, also modes, flags and locks of the objects of the recordings that these entries
    took in; no object is read. A home whose medium keeps no modes is not asked.
    """
    yield from _open_to_others(office)
    if part is None:
        return
    fixity = fixity_of(office)
    with office.catalogue.read() as session:
        faults = list(fixity.fences(_received(recordings.taken_in_by(session, part))))
    if not faults:
        return
    # Something may have been locked, moved or destroyed meanwhile: they are looked at again.
    with office.catalogue.read() as session:
        again = recordings.kept_of(session, {fault.recording for fault in faults})
        for fault in fixity.fences(_received(again)):
            yield _wrong(fault)


def _received(rows: Iterable[RecordingRow]) -> Iterator[Kept]:
    """Yield what is kept, but for what is still being taken in: locks come before the receipt."""
    return (kept(row) for row in rows if row.receipt_text is not None)


def _open_to_others(office: Office) -> Iterator[Wrong]:
    home = office.settings.home
    if not _keeps_modes(home):
        return
    inside = [*home.iterdir(), office.settings.keys, *(home / "log-signer").glob("*")]
    parts = {home: stat.S_IRWXO} | dict.fromkeys(inside, stat.S_IWOTH)
    for path, closed in sorted(parts.items()):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if mode & closed:
            inner = path.is_relative_to(home) and path != home
            name = str(path.relative_to(home)) if inner else path.name
            yield Wrong(What.OPEN_TO_OTHERS, name, {"mode": f"{mode:04o}"})


def _keeps_modes(folder: Path) -> bool:
    """Tell whether a file that is made for its owner alone is his alone here."""
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            return not os.fstat(trial.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError:
        return False


def fixity_of(
    office: Office, progress: Callable[[str, int], None] = lambda _recording, _size: None
) -> Fixity:
    """Return the check over this office's objects and trusted keys."""
    ring = office.ring
    centre, log = ring.verifying("centre"), ring.verifying("log")
    return Fixity(office.objects, office.stations, centre, log, progress)


def orphans(office: Office) -> list[str]:
    """Return the keys of objects that no row refers to: what interrupted attempts left."""
    with office.catalogue.read() as session:
        known = set(jobs.object_ids(session))
    return list(fixity_of(office).orphans(known))


def kept(row: RecordingRow) -> Kept:
    """Return what the catalogue says it keeps of a recording."""
    return Kept(
        recording=row.id,
        record=row.record_text.encode(),
        envelope=row.envelope_text.encode(),
        receipt=row.receipt_text.encode() if row.receipt_text is not None else None,
        retain_until=row.retain_until,
    )


def _wrong(found: Discrepancy | Fault) -> Wrong:
    return Wrong(found.what.value, found.subject, found.facts)
