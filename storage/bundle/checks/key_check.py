"""Level 2 check of a bundle's keys: each was enrolled by an entry, and valid when it signed.

A record that was accessioned before its key's end was sealed before it, whatever clock its station
had; of one that came later, its own word (`sealed_at`) says whether it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from policies.identifiers import Subject, split_subject
from storage.bundle.checks.states import States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.signed import canonical
from storage.signed.fingerprint import KID_DIGITS, format_fingerprint
from storage.signed.signing import VerifyKey, signer_of

_ADD, _STATION = "key.add", "station"


@dataclass(frozen=True, slots=True)
class _Added:
    """The enrolment of a key, as an entry of the log holds it."""

    index: int
    use: str
    name: str
    fingerprint: str


def check_keys(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield the keys that nobody enrolled, and the records that a key signed out of its time."""
    added = list(_list_enrolments(bundle))
    for use, name, fingerprint in _list_bundle_keys(bundle):
        if _entry_of(added, use, name, fingerprint) is None:
            yield f"{use} {name}, {format_fingerprint(fingerprint)}: no entry enrolled this key"
    stations = {key.kid: key for key in bundle.keys.stations}
    for folder in bundle.list_recordings():
        # Verified before by the records' own check, so the id is one of these keys.
        key = stations[signer_of((folder / "record.json").read_bytes())]
        accession = _find_accession(bundle, folder.name)
        enrolment = _entry_of(added, _STATION, key.name, key.fingerprint)
        if accession is None or enrolment is None:
            continue  # named elsewhere: without its row, or without its key
        yield from _in_time(bundle, accession, enrolment, key, states)


def _in_time(
    bundle: BundleFiles, accession: GivenEntry, enrolment: _Added, key: VerifyKey, states: States
) -> Iterator[str]:
    recording = split_subject(accession.entry["subject"])[1]
    if accession.entry["v"] != 1:
        head = accession.entry["heads"].get(Subject.of_key(key.kid))
        # By number and by head: the entry that names a key's chain comes after its enrolment.
        if enrolment.index > accession.index or head is None or not head[0]:
            yield f"recording {recording}: signed by a key that was not enrolled before it"
    sealed_at = datetime.fromisoformat(bundle.read_record(recording).sealed_at)
    at = datetime.fromisoformat(accession.entry["at"])
    for end in _find_key_ends(key, states):
        # Whichever was first: a station's clock may be ahead, and its delivery may come late.
        if min(sealed_at, at) >= end:
            yield f"recording {recording}: sealed after the end of its key, {end.isoformat()}"
            return


def _find_key_ends(key: VerifyKey, states: States) -> Iterator[datetime]:
    """Yield the ends of a station key's validity, by the last state of its enrolment."""
    # By the whole public key: a station's name comes again with its next key.
    text = canonical.encode(key.to_json()).decode()
    for row in states.of_table("enrolment"):
        if row["key_text"] == text:
            for name in ("revoked_at", "expires_at"):
                if row[name] is not None:
                    yield datetime.fromisoformat(row[name])


def _list_enrolments(bundle: BundleFiles) -> Iterator[_Added]:
    for entry in bundle.entries:
        if entry.entry["act"] != _ADD or entry.details is None:
            continue
        details = entry.details
        # The entry must stand in that very key's chain, and not only speak of it.
        if entry.entry["subject"] == Subject.of_key(details["fingerprint"][:KID_DIGITS]):
            yield _Added(entry.index, details["use"], details["name"], details["fingerprint"])


def _entry_of(added: list[_Added], use: str, name: str, fingerprint: str) -> _Added | None:
    """Return the first enrolment of a key; of station keys, the one under this name."""
    for enrolment in added:
        # Centre and log may go by other names later; a station is who it was enrolled as.
        named = use != _STATION or enrolment.name == name
        if (enrolment.use, enrolment.fingerprint) == (use, fingerprint) and named:
            return enrolment
    return None


def _list_bundle_keys(bundle: BundleFiles) -> Iterator[tuple[str, str, str]]:
    for use, key in bundle.keys.signers:
        yield use, key.name, key.fingerprint
    for seal in bundle.keys.recipients:
        yield str(seal.use), str(seal.use), seal.fingerprint


def _find_accession(bundle: BundleFiles, recording: str) -> GivenEntry | None:
    for candidate in bundle.entries:
        entry = candidate.entry
        if entry["act"] == "recording.accession" and entry["subject"] == Subject.of_recording(
            recording
        ):
            return candidate
    return None
