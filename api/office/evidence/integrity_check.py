"""Integrity check of a whole office: database, log and objects, with faults in words."""

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
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.jobs import recording_upkeep
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind
from storage.catalogue.proofs.office_keys import list_unenrolled_keys
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import dispositions
from storage.catalogue.tables import RecordingRow
from storage.errors import LiuhenError
from storage.upkeep.destruction import keys_of
from storage.upkeep.fixity import CataloguedRecording, Fault, Fixity
from storage.vault.keys import KeyRing

WORDS = load_pairs("integrity")


@dataclass(frozen=True, slots=True)
class Wrong:
    """One fault of the integrity check, with its text in both languages."""

    kind: str
    subject: str
    facts: dict[str, Any]

    @property
    def zh(self) -> str:
        """The fault in Chinese."""
        return f"{WORDS[self.kind][0]}:{self.subject}"

    @property
    def en(self) -> str:
        """The fault in English."""
        return f"{WORDS[self.kind][1]}: {self.subject}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "what": self.kind,
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
        # All in one transaction: recordings, what is destroyed, and keys are as of one moment.
        rows = list(recordings.iterate_recordings(session))
        everything = [expected_objects_of(row) for row in rows if row.destroyed_at is None]
        destroyed = [row.id for row in rows if dispositions.is_destroyed(session, row)]
        keys_by_recording = {
            recording_id: keys_of(session, recording_id) for recording_id in destroyed
        }
    fixity = fixity_of(office, progress)
    for fault in fixity.check_recordings(everything):
        yield _as_wrong(fault)
    # Behind the recordings: listing a bucket takes minutes, and damage should be told first.
    for fault in chain(fixity.find_leftovers(keys_by_recording), fixity.find_strangers()):
        yield _as_wrong(fault)


def catalogue_check(office: Office, part: range | None = None) -> Iterator[Wrong]:
    """Yield what is wrong with rows, log and keys; of `part`, the entries of these numbers."""
    # Without the signer's memory the rest is still checked: one lost file must not hide edited
    # rows.
    signed = None
    try:
        signed = office.signer.read_last_checkpoint()
    except LiuhenError as error:
        yield Wrong(DiscrepancyKind.EDITED_CHECKPOINT, "the signer's last head", error.facts)
    folder, keys = office.settings.home / "log", office.signer.keys
    with office.catalogue.read() as session:
        for finding in audit_catalogue(session, keys, signed=signed, folder=folder, part=part):
            yield _as_wrong(finding)
        for finding in list_unenrolled_keys(session, KeyRing.load(office.settings.keys)):
            yield _as_wrong(finding)


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
            yield _as_wrong(fault)


def _received(rows: Iterable[RecordingRow]) -> Iterator[CataloguedRecording]:
    """Yield what is kept, but for what is still being taken in: locks come before the receipt."""
    return (expected_objects_of(row) for row in rows if row.receipt_text is not None)


def _open_to_others(office: Office) -> Iterator[Wrong]:
    home = office.settings.home
    if not _keeps_modes(home):
        return
    inside = [*home.iterdir(), office.settings.keys, *(home / "log-signer").glob("*")]
    # The home is closed to others altogether; inside it, only what others could change is named,
    # for reading is stopped by the home.
    parts = {home: stat.S_IRWXO} | dict.fromkeys(inside, stat.S_IWOTH)
    for path, closed in sorted(parts.items()):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        # Temporary files come and go while this looks.
        except FileNotFoundError:
            continue
        if mode & closed:
            inner = path.is_relative_to(home) and path != home
            name = str(path.relative_to(home)) if inner else path.name
            yield Wrong(DiscrepancyKind.OPEN_TO_OTHERS, name, {"mode": f"{mode:04o}"})


def _keeps_modes(folder: Path) -> bool:
    """Tell whether a file that is made for its owner alone is his alone here."""
    try:
        # Tried, not asked for: of a FAT or network mount every file seems open to all.
        with tempfile.TemporaryFile(dir=folder) as trial:
            return not os.fstat(trial.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError:
        return False


def fixity_of(
    office: Office, progress: Callable[[str, int], None] = lambda _recording, _size: None
) -> Fixity:
    """Return the check over this office's objects and trusted keys."""
    ring = office.ring
    centre, log = ring.get_verify_key("centre"), ring.get_verify_key("log")
    return Fixity(office.objects, office.station_keys, centre, log, progress)


def list_orphans(office: Office) -> list[str]:
    """Return the keys of objects that no row refers to: what interrupted attempts left."""
    with office.catalogue.read() as session:
        referenced_ids = set(recording_upkeep.object_ids(session))
    return list(fixity_of(office).find_orphans(referenced_ids))


def expected_objects_of(row: RecordingRow) -> CataloguedRecording:
    """Return the objects that the catalogue expects of a recording."""
    return CataloguedRecording(
        recording=row.id,
        record=row.record_text.encode(),
        envelope=row.envelope_text.encode(),
        receipt=row.receipt_text.encode() if row.receipt_text is not None else None,
        retain_until=row.retain_until,
    )


def _as_wrong(finding: Discrepancy | Fault) -> Wrong:
    return Wrong(finding.kind.value, finding.subject, finding.facts)
