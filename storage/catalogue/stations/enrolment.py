"""Enrolments of stations and their keys: offered, taken up, expired, revoked.

An administrator offers an enrolment and hands the one-time code to the station; the station takes
it up with a key that it made itself. A key that was enrolled once stays known for ever, so that
what it signed still verifies; whether it may sign today is `standing`.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from policies.identifiers import StationId, Subject
from storage.catalogue.people import people
from storage.catalogue.proofs.office_keys import STATION, add_key
from storage.catalogue.stations.tables import (
    EnrolmentRow,
    StationNoteRow,
    StationStatusRow,
    StationTokenRow,
    UsedAssertionRow,
)
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import EnrolmentError
from storage.signed import canonical
from storage.signed.signing import VerifyKey

CODE_LASTS = timedelta(hours=24)
_CHANGE = PremisType.METADATA_MODIFICATION
_BY_TOKEN = (  # made once: every request of every station asks it
    select(EnrolmentRow)
    .join(StationTokenRow, StationTokenRow.enrolment_id == EnrolmentRow.id)
    .where(
        StationTokenRow.token_hash == bindparam("token"),
        StationTokenRow.expires_at > bindparam("at"),
    )
)


class Standing(StrEnum):
    """Validity of an enrolment at a given time."""

    OFFERED = "offered"
    LAPSED = "lapsed"  # the code was not used in time
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def standing_of(row: EnrolmentRow, at: datetime) -> Standing:
    """Return the validity of an enrolment at a time."""
    if row.revoked_at is not None:
        return Standing.REVOKED
    if row.enrolled_at is None or row.expires_at is None:
        return Standing.OFFERED if at < row.code_until else Standing.LAPSED
    return Standing.ACTIVE if at < row.expires_at else Standing.EXPIRED


def key_of(row: EnrolmentRow) -> VerifyKey | None:
    """Return the station's public key, once the enrolment was taken up."""
    return None if row.key_text is None else VerifyKey.from_json(json.loads(row.key_text))


def offer_enrolment(
    uow: UnitOfWork, station_id: StationId, code_hash: str, *, actor: str
) -> EnrolmentRow:
    """Offer an enrolment; earlier offers to this station that nobody took up are withdrawn.

    Raises: NotFoundError when there is no such station.
    """
    people.get_station(uow.session, station_id)
    for row in of_station(uow.session, station_id):
        if standing_of(row, uow.at) in {Standing.OFFERED, Standing.LAPSED}:
            _revoke_enrolment(uow, row, "replaced", actor)
    row = EnrolmentRow(
        id=uow.new_id(),
        station_id=station_id,
        code_hash=code_hash,
        code_until=uow.at + CODE_LASTS,
        key_text=None,
        enrolled_at=None,
        expires_at=None,
        revoked_at=None,
        revoked_why=None,
    )
    uow.session.add(row)
    uow.record("station.offer", _CHANGE, row, actor=actor, subject=Subject.of_station(station_id))
    return row


def find_offer(session: Session, code_hash: str, at: datetime) -> EnrolmentRow:
    """Return the enrolment that this code stands for, used or not.

    Raises: EnrolmentError (code: unknown, withdrawn, or not used in time).
    """
    row = session.scalar(select(EnrolmentRow).where(EnrolmentRow.code_hash == code_hash))
    if row is None or standing_of(row, at) in {Standing.LAPSED, Standing.REVOKED}:
        raise EnrolmentError("code")
    return row


def take_up(uow: UnitOfWork, code_hash: str, key: VerifyKey, expires_at: datetime) -> EnrolmentRow:
    """Enrol the station's key against the code. The same key again gets the same answer.

    Earlier keys of the station end with it: a station is one machine with one key.
    Raises: EnrolmentError (code; used: another key took the code; key: the key is known already).
    """
    row = find_offer(uow.session, code_hash, uow.at)
    if row.key_text is not None:
        if key_of(row) != key:
            raise EnrolmentError("used", station=row.station_id)
        return row
    if key.name != row.station_id or any(
        enrolled_key.kid == key.kid for enrolled_key in list_keys(uow.session)
    ):
        raise EnrolmentError("key", station=row.station_id)
    for other in of_station(uow.session, row.station_id):
        if standing_of(other, uow.at) is Standing.ACTIVE:
            _revoke_enrolment(uow, other, "replaced", Subject.of_station(row.station_id))
    row.key_text = canonical.encode(key.to_json()).decode()
    row.enrolled_at, row.expires_at = uow.at, expires_at
    actor = Subject.of_station(row.station_id)
    add_key(uow, STATION, key, actor=actor, since=uow.at, until=expires_at)
    uow.record(
        "station.enrol",
        _CHANGE,
        row,
        actor=actor,
        subject=Subject.of_station(row.station_id),
        chains=[Subject.of_key(key.kid)],
        kid=key.kid,
    )
    return row


def revoke_enrolments(uow: UnitOfWork, station_id: StationId, why: str, *, actor: str) -> int:
    """End every enrolment of a station at once; return how many there were."""
    rows = [
        row
        for row in of_station(uow.session, station_id)
        if standing_of(row, uow.at) in {Standing.ACTIVE, Standing.OFFERED}
    ]
    for row in rows:
        _revoke_enrolment(uow, row, why, actor)
    return len(rows)


def _revoke_enrolment(uow: UnitOfWork, row: EnrolmentRow, why: str, actor: str) -> None:
    row.revoked_at, row.revoked_why = uow.at, why
    uow.session.execute(delete(StationTokenRow).where(StationTokenRow.enrolment_id == row.id))
    key = key_of(row)
    uow.record(
        "station.revoke",
        _CHANGE,
        row,
        actor=actor,
        subject=Subject.of_station(row.station_id),
        chains=[Subject.of_key(key.kid)] if key is not None else [],
        why=why,
    )


def of_station(session: Session, station_id: StationId) -> list[EnrolmentRow]:
    """Return every enrolment of a station, oldest first."""
    query = select(EnrolmentRow).where(EnrolmentRow.station_id == station_id)
    return list(session.scalars(query.order_by(EnrolmentRow.id)))


def by_key(session: Session, station_id: StationId, kid: str) -> EnrolmentRow:
    """Return the enrolment of this station under this key, whatever it is worth.

    Raises: EnrolmentError (unknown).
    """
    for row in of_station(session, station_id):
        key = key_of(row)
        if key is not None and key.kid == kid:
            return row
    raise EnrolmentError("unknown")


def require_active(row: EnrolmentRow, at: datetime) -> EnrolmentRow:
    """Return the enrolment if it is worth something then.

    Raises: EnrolmentError (revoked, expired, offered, lapsed).
    """
    now = standing_of(row, at)
    if now is not Standing.ACTIVE:
        raise EnrolmentError(now.value, station=row.station_id)
    return row


def list_keys(session: Session) -> tuple[VerifyKey, ...]:
    """Return every key that was ever enrolled, oldest first."""
    query = select(EnrolmentRow).where(EnrolmentRow.key_text.is_not(None))
    rows = session.scalars(query.order_by(EnrolmentRow.id))
    return tuple(key for row in rows if (key := key_of(row)) is not None)


def issue_token(uow: UnitOfWork, row: EnrolmentRow, token_hash: str, until: datetime) -> None:
    """Keep a token of this enrolment; tokens and assertions that ended are forgotten."""
    for table in (StationTokenRow, UsedAssertionRow):
        uow.session.execute(delete(table).where(table.expires_at < uow.at))
    uow.session.add(StationTokenRow(token_hash=token_hash, enrolment_id=row.id, expires_at=until))


def by_token(session: Session, token_hash: str, at: datetime) -> EnrolmentRow:
    """Return whose token this is. Raises: EnrolmentError (token, revoked, expired)."""
    row = session.scalar(_BY_TOKEN, {"token": token_hash, "at": at})
    if row is None:
        raise EnrolmentError("token")
    return require_active(row, at)


def use_assertion(uow: UnitOfWork, assertion_hash: str, until: datetime) -> None:
    """Remember an assertion until it would end anyway. Raises: EnrolmentError (replay)."""
    if uow.session.get(UsedAssertionRow, assertion_hash) is not None:
        raise EnrolmentError("replay")
    uow.session.add(UsedAssertionRow(hash=assertion_hash, expires_at=until))


def note_once(uow: UnitOfWork, enrolment_id: str, number: int) -> bool:
    """Tell whether this note of the station is new, and remember it."""
    if uow.session.get(StationNoteRow, (enrolment_id, number)) is not None:
        return False
    uow.session.add(StationNoteRow(enrolment_id=enrolment_id, number=number))
    return True


def set_status(uow: UnitOfWork, station_id: StationId, status: dict[str, Any]) -> None:
    """Keep what a station says of itself now."""
    row = uow.session.get(StationStatusRow, station_id)
    if row is None:
        row = StationStatusRow(station_id=station_id)
        uow.session.add(row)
    row.seen_at, row.told = uow.at, status


def list_statuses(session: Session) -> list[StationStatusRow]:
    """Return what each station last said of itself, by id."""
    return list(session.scalars(select(StationStatusRow).order_by(StationStatusRow.station_id)))
