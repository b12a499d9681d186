"""The office's keys in the log: each told by an entry, so that a key nobody enrolled is named.

An entry `key.add` tells what a key is for, its fingerprint and its public halves, and since when.
It begins the chain `key:<kid>`, in which a station's enrolment and revocation follow, and stands
in `office:keys`. Keys of the key folder are told once: at founding, or when an office of before is
first opened. A file that is put there later is trusted by nobody until an entry says so.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM, StationId, Subject
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind
from storage.catalogue.stations.tables import EnrolmentRow
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.event import PremisType
from storage.custody.entries.subjects import OFFICE_KEYS
from storage.signed.fingerprint import format_fingerprint
from storage.signed.signing import VerifyKey
from storage.vault.keys import KeyRing, SealKey

ADD = "key.add"
STATION = "station"


@dataclass(frozen=True, slots=True)
class OfficeKey:
    """A key that an entry tells of: its use (`centre`, `log`, `station`, `vault`, `recovery`).

    `until` is when a station's key ends or ended; None: not yet said.
    """

    use: str
    name: str
    fingerprint: str
    since: datetime
    until: datetime | None


def log_office_keys(catalogue: Catalogue, ring: KeyRing) -> None:
    """Tell the log of every key that the office has, if it was told of none yet."""
    # Without the writers' lock, since every opening asks.
    with catalogue.read() as session:
        if _has_begun(session):
            return
    with catalogue.write() as uow:
        if _has_begun(uow.session):
            return
        for use, key in keys_in(ring):
            add_key(uow, use, key, actor=SYSTEM, since=uow.at)
        for row, station in _list_enrolled_keys(uow.session):
            since, until = row.enrolled_at or uow.at, row.expires_at
            add_key(uow, STATION, station, actor=SYSTEM, since=since, until=until)


def add_key(
    uow: UnitOfWork,
    use: str,
    key: VerifyKey | SealKey,
    *,
    actor: str,
    since: datetime,
    until: datetime | None = None,
) -> None:
    """Tell the log of a key."""
    name = name_of(key)
    uow.record(
        ADD,
        PremisType.METADATA_MODIFICATION,
        actor=actor,
        subject=Subject.of_key(key.kid),
        # In the chain of all keys, so that none can be left out of it unseen; a station's in its
        # own, too.
        chains=[OFFICE_KEYS, *([Subject.of_station(StationId(name))] if use == STATION else [])],
        use=use,
        name=name,
        fingerprint=key.fingerprint,
        public=key.to_json(),
        since=since.isoformat(),
        until=until.isoformat() if until is not None else None,
    )


def office_keys(session: Session) -> list[OfficeKey]:
    """Return every key that the log was told of, in the order of the entries."""
    ends = {key.fingerprint: _end_of_enrolment(row) for row, key in _list_enrolled_keys(session)}
    return [
        OfficeKey(
            details["use"],
            details["name"],
            details["fingerprint"],
            datetime.fromisoformat(details["since"]),
            ends.get(details["fingerprint"]),
        )
        for details in _list_additions(session)
    ]


def keys_in(ring: KeyRing) -> list[tuple[str, VerifyKey | SealKey]]:
    """Return the public keys of a key folder, each with its use."""
    return [
        ("centre", ring.get_verify_key("centre")),
        ("log", ring.get_verify_key("log")),
        *((str(seal.use), seal) for seal in ring.recipients),
        *((STATION, key) for key in ring.stations),
    ]


def trusted_stations(session: Session, ring: KeyRing) -> tuple[VerifyKey, ...]:
    """Return the stations' keys of a key folder that an entry tells of.

    All of them, where the log was told of no key yet: an office of before that is being moved.
    """
    log = LogReader(session)
    subjects = [Subject.of_key(key.kid) for key in ring.stations]
    added = {_identify_details(event.details) for event in log.events_of(*subjects, act=ADD)}
    if not added and not _has_begun(session):
        return ring.stations
    # By use and fingerprint: a centre's key put there as a station's is none.
    return tuple(key for key in ring.stations if _identify_key(STATION, key) in added)


def list_unenrolled_keys(session: Session, ring: KeyRing) -> Iterator[Discrepancy]:
    """Yield the keys of a key folder that no entry tells of."""
    if not _has_begun(session):
        return
    added = {_identify_details(details) for details in _list_additions(session)}
    for use, key in keys_in(ring):
        if _identify_key(use, key) not in added:
            facts = {
                "use": use,
                "name": name_of(key),
                "fingerprint": format_fingerprint(key.fingerprint),
            }
            yield Discrepancy(DiscrepancyKind.UNENROLLED_KEY, f"key {use} {name_of(key)}", facts)


def name_of(key: VerifyKey | SealKey) -> str:
    """Return a key's name; one to seal to has none but its use."""
    return key.name if isinstance(key, VerifyKey) else str(key.use)


def _identify_key(use: str, key: VerifyKey | SealKey) -> tuple[str, ...]:
    # Only stations' names tell who signed; the log's is its origin, which may change.
    return (use, key.fingerprint, *([name_of(key)] if use == STATION else []))


def _identify_details(details: Any) -> tuple[str, ...]:
    use, name = details["use"], details["name"]
    return (use, details["fingerprint"], *([name] if use == STATION else []))


def _list_additions(session: Session) -> list[Any]:
    log = LogReader(session)
    indexes = log.chain_entries([OFFICE_KEYS])[OFFICE_KEYS]
    return [event.details for _, _, event in log.read_readable_halves(indexes) if event.act == ADD]


def _has_begun(session: Session) -> bool:
    return bool(LogReader(session).chain_heads([OFFICE_KEYS])[OFFICE_KEYS].count)


def _list_enrolled_keys(session: Session) -> list[tuple[EnrolmentRow, VerifyKey]]:
    query = select(EnrolmentRow).where(EnrolmentRow.key_text.is_not(None))
    rows = session.scalars(query.order_by(EnrolmentRow.id))
    return [(row, VerifyKey.from_json(json.loads(row.key_text or ""))) for row in rows]


def _end_of_enrolment(row: EnrolmentRow) -> datetime | None:
    return min((at for at in (row.expires_at, row.revoked_at) if at is not None), default=None)
