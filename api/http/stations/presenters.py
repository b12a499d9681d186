"""Presenters of stations: enrolment, last reported status, alarms.

A station's own words (`StationStatusRow.told`) are for screens, never evidence. An enrolled
station may still be somebody else's by now, so they are read as an outsider's: bounded, typed,
and left out where they are not what they should be. Only words of ours become sentences, so that
nobody can write one on an administrator's screen. A light of a station that is silent, or may not
deliver, counts for nothing: its bays are `unknown`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from api.office.wiring import Office
from api.problems import BAYS, STANDINGS, alarm_known, alarm_zh, bay_zh, reason_known, reason_zh
from storage.catalogue.people import people
from storage.catalogue.stations import enrolment
from storage.catalogue.stations.enrolment import Standing
from storage.catalogue.stations.tables import EnrolmentRow, StationStatusRow
from storage.catalogue.tables import StationRow
from storage.catalogue.unit_of_work import View

SILENT = timedelta(minutes=10)
ENDING = timedelta(days=30)  # before the enrolment's end; time enough to bring a new code
_CLOCK_OFF_S = 120
_LONGEST_WAIT = timedelta(days=3650)  # nothing waits longer at a station; and nothing from ahead
_BAYS, _ALARMS, _LENGTH, _LARGEST = 100, 20, 60, 1e15
_UNKNOWN = "unknown"


class AlarmOut(BaseModel):
    """Something that a person should mend."""

    code: str
    zh: str


class StationBayOut(BaseModel):
    """One bay, as its station last told."""

    name: str
    state: str
    state_zh: str
    reason_zh: str


class SpoolOut(BaseModel):
    """What waits at a station for the network; bytes."""

    used: int
    limit: int
    waiting: int
    oldest: datetime | None


class StationOut(BaseModel):
    """A station, its enrolment, and what it last said of itself.

    `code_until` is the end of a code that was given out and not used yet.
    """

    id: str
    name: str
    township: str
    standing: str
    standing_zh: str
    expires_at: datetime | None
    code_until: datetime | None
    revoked_why: str | None
    seen_at: datetime | None
    silent: bool
    bays: list[StationBayOut]
    spool: SpoolOut | None
    clock_offset_s: float | None
    software: str | None
    alarms: list[AlarmOut]


def present_stations(session: View, office: Office, township: str | None) -> list[StationOut]:
    """Return the stations of a township, or all; those with alarms first, then by township."""
    statuses = {row.station_id: row for row in enrolment.list_statuses(session)}
    now = office.clock()
    station_rows = [
        _present_station(session, row, statuses.get(row.id), now)
        for row in people.list_stations(session)
        if township is None or row.township == township
    ]
    return sorted(
        station_rows,
        key=lambda station_row: (
            not station_row.alarms,
            station_row.township,
            station_row.name,
            station_row.id,
        ),
    )


def present_station(session: View, office: Office, row: StationRow) -> StationOut:
    """Return one station."""
    statuses = {row.station_id: row for row in enrolment.list_statuses(session)}
    return _present_station(session, row, statuses.get(row.id), office.clock())


def _present_station(
    session: View, row: StationRow, status: StationStatusRow | None, now: datetime
) -> StationOut:
    rows = enrolment.of_station(session, row.id)
    last = _last_enrolment(rows)
    standing = enrolment.standing_of(last, now) if last else None
    open_codes = [
        enrolment_row.code_until
        for enrolment_row in rows
        if enrolment.standing_of(enrolment_row, now) is Standing.OFFERED
    ]
    report = status.told if status else {}
    seen_at = status.seen_at if status else None
    # A station that never enrolled is the centre's own.
    word = standing.value if standing else "local"
    # Who is revoked or expired is not called silent: it is not to be heard of.
    silent = last is not None and standing is Standing.ACTIVE and _is_silent(last, seen_at, now)
    return StationOut(
        id=row.id,
        name=row.name,
        township=row.township,
        standing=word,
        standing_zh=STANDINGS[word],
        expires_at=last.expires_at if last else None,
        code_until=max(open_codes, default=None),
        revoked_why=last.revoked_why if last else None,
        seen_at=seen_at,
        silent=silent,
        bays=list(
            _present_bays(report.get("bays"), live=standing is Standing.ACTIVE and not silent)
        ),
        spool=_present_spool(report.get("spool"), now),
        clock_offset_s=_parse_number(report.get("offset_s")),
        software=_clean_text(report.get("software")),
        alarms=[
            AlarmOut(code=code, zh=alarm_zh(code))
            for code in dict.fromkeys(_list_alarms(last, standing, seen_at, report, now))
        ],
    )


def _last_enrolment(rows: list[EnrolmentRow]) -> EnrolmentRow | None:
    """Return the enrolment that counts: the newest that was taken up, else the newest offer."""
    # An open code must not hide the enrolment by which the station works now.
    taken_up = [row for row in rows if row.enrolled_at is not None]
    return next(reversed(taken_up or rows), None)


def _is_silent(last: EnrolmentRow, seen_at: datetime | None, now: datetime) -> bool:
    """Tell whether nothing was heard for too long, counted from the enrolment at the earliest."""
    heard = [at for at in (seen_at, last.enrolled_at) if at is not None]
    return now - max(heard, default=now) > SILENT


def _list_alarms(
    last: EnrolmentRow | None,
    standing: Standing | None,
    seen_at: datetime | None,
    report: dict[str, Any],
    now: datetime,
) -> Iterator[str]:
    if standing is Standing.EXPIRED:
        yield "enrolment-expired"
    if standing is not Standing.ACTIVE or last is None or last.expires_at is None:
        return  # who is not to deliver need not be heard of either
    if _is_silent(last, seen_at, now):
        yield "silent" if seen_at else "never-seen"
    if last.expires_at - now < ENDING:
        yield "ending"
    offset = _parse_number(report.get("offset_s"))
    if offset is not None and abs(offset) > _CLOCK_OFF_S:
        yield "clock"
    untrusted_spool = report.get("spool")
    if isinstance(untrusted_spool, dict):
        untrusted_alarms = untrusted_spool.get("alarms")
        if isinstance(untrusted_alarms, list):
            # Bounded, and of our own words alone: whoever took the station over writes no sentence
            # here.
            for untrusted_alarm in untrusted_alarms[:_ALARMS]:
                yield (
                    untrusted_alarm
                    if isinstance(untrusted_alarm, str) and alarm_known(untrusted_alarm)
                    else _UNKNOWN
                )


def _present_bays(untrusted_bays: object, *, live: bool) -> Iterator[StationBayOut]:
    if not isinstance(untrusted_bays, list):
        return
    for untrusted_bay in untrusted_bays[:_BAYS]:
        if isinstance(untrusted_bay, dict) and (name := _clean_text(untrusted_bay.get("name"))):
            # Any JSON may stand here; as text it is compared with the words that we know.
            state, reason = str(untrusted_bay.get("state")), str(untrusted_bay.get("reason"))
            # A green light of a station that is silent by now must not invite anybody to take a
            # recorder out.
            if not live or state not in BAYS:
                state = _UNKNOWN
            yield StationBayOut(
                name=name,
                state=state,
                state_zh=bay_zh(state),
                reason_zh=reason_zh(reason) if live and reason_known(reason) else "",
            )


def _present_spool(untrusted_spool: object, now: datetime) -> SpoolOut | None:
    if not isinstance(untrusted_spool, dict):
        return None
    used, limit = (
        _parse_number(untrusted_spool.get("used")),
        _parse_number(untrusted_spool.get("limit")),
    )
    waiting = _parse_number(untrusted_spool.get("waiting"))
    if used is None or limit is None or waiting is None or min(used, limit - 1, waiting) < 0:
        return None
    return SpoolOut(
        used=int(used),
        limit=int(limit),
        waiting=int(waiting),
        oldest=_parse_time(untrusted_spool.get("oldest"), now),
    )


def _clean_text(untrusted_value: object) -> str | None:
    """Return what can be shown of a text: nothing that turns the line around it (bidi) is left."""
    if not isinstance(untrusted_value, str):
        return None
    return "".join(character for character in untrusted_value[:_LENGTH] if character.isprintable())


def _parse_number(untrusted_value: object) -> float | None:
    if isinstance(untrusted_value, bool) or not isinstance(untrusted_value, int | float):
        return None
    # Compared before anything else: an integer of any length compares, and not all become floats.
    return float(untrusted_value) if abs(untrusted_value) <= _LARGEST else None


def _parse_time(untrusted_value: object, now: datetime) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(untrusted_value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Nothing from ahead, nor from before there were stations: a page must not say "since 1970".
    return at if timedelta(0) <= now - at < _LONGEST_WAIT else None
