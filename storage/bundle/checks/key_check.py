"""L2 of a bundle's keys: an entry enrolled each, and each was valid when it signed.

A record that was accessioned before its key's end was sealed before it, whatever clock its station
had; of one that came later, its own word (`sealed_at`) says whether it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from storage.bundle.checks.states import States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.custody.entries.subjects import key_subject
from storage.signed import canonical
from storage.signed.fingerprint import KID_DIGITS, grouped
from storage.signed.signing import VerifyKey, signer_of

_ADD, _STATION = "key.add", "station"


@dataclass(frozen=True, slots=True)
class _Added:
    """What an entry tells of a key."""

    index: int
    use: str
    name: str
    fingerprint: str


def keys(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield the keys that nobody enrolled, and the records that a key signed out of its time."""
    added = list(_added(bundle))
    for use, name, fingerprint in _held(bundle):
        if _entry_of(added, use, name, fingerprint) is None:
            yield f"{use} {name}, {grouped(fingerprint)}: no entry enrolled this key"
    stations = {key.kid: key for key in bundle.keys.stations}
    for folder in bundle.recordings():
        key = stations[signer_of((folder / "record.json").read_bytes())]
        accession = _accession(bundle, folder.name)
        told = _entry_of(added, _STATION, key.name, key.fingerprint)
        if accession is None or told is None:
            continue  # named elsewhere: without its row, or without its key
        yield from _in_time(bundle, accession, told, key, states)


def _in_time(
    bundle: BundleFiles, accession: GivenEntry, told: _Added, key: VerifyKey, states: States
) -> Iterator[str]:
    recording = accession.entry["subject"].partition(":")[2]
    if accession.entry["v"] != 1:
        head = accession.entry["heads"].get(key_subject(key.kid))
        if told.index > accession.index or head is None or not head[0]:
            yield f"recording {recording}: signed by a key that was not enrolled before it"
    sealed_at = datetime.fromisoformat(bundle.record(recording).sealed_at)
    at = datetime.fromisoformat(accession.entry["at"])
    for end in _ends(key, states):
        if min(sealed_at, at) >= end:
            yield f"recording {recording}: sealed after the end of its key, {end.isoformat()}"
            return


def _ends(key: VerifyKey, states: States) -> Iterator[datetime]:
    """Yield when a station's key ends, by the last state of its enrolment."""
    text = canonical.encode(key.to_json()).decode()
    for row in states.of_table("enrolment"):
        if row["key_text"] == text:
            for name in ("revoked_at", "expires_at"):
                if row[name] is not None:
                    yield datetime.fromisoformat(row[name])


def _added(bundle: BundleFiles) -> Iterator[_Added]:
    for one in bundle.entries:
        if one.entry["act"] != _ADD or one.details is None:
            continue
        told = one.details
        if one.entry["subject"] == key_subject(told["fingerprint"][:KID_DIGITS]):
            yield _Added(one.index, told["use"], told["name"], told["fingerprint"])


def _entry_of(added: list[_Added], use: str, name: str, fingerprint: str) -> _Added | None:
    """Return the first entry of a key; only a station's name tells who signed."""
    for one in added:
        named = use != _STATION or one.name == name
        if (one.use, one.fingerprint) == (use, fingerprint) and named:
            return one
    return None


def _held(bundle: BundleFiles) -> Iterator[tuple[str, str, str]]:
    for use, key in bundle.keys.signers:
        yield use, key.name, key.fingerprint
    for seal in bundle.keys.recipients:
        yield str(seal.use), str(seal.use), seal.fingerprint


def _accession(bundle: BundleFiles, recording: str) -> GivenEntry | None:
    for one in bundle.entries:
        entry = one.entry
        if entry["act"] == "recording.accession" and entry["subject"] == f"recording:{recording}":
            return one
    return None
