"""Go on with a centre's log that contradicted this station's: a person says so, with a reason."""

import json
import time
from typing import Any

from api.office.home_parts import ENROLMENT
from api.office.settings.settings import Settings
from api.office.system import clock
from api.office.wiring import Office
from api.station.process import is_enrolled
from ingest.station.delivery.centre_clock import CentreClock
from ingest.station.delivery.witness import accept_log
from ingest.station.journal import Journal
from policies.identifiers import StationId, Subject
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.stations.journal_tables import LogAlarmRow
from storage.custody.checkpoint import untrusted_checkpoint
from storage.errors import KeyRingError


def accept_centre_log(settings: Settings, reason: str) -> dict[str, Any]:
    """Have this station go on with a log that contradicted it; return the heads' sizes.

    The alarm, both heads and the reason stay in the journal, and the centre's log hears of it: of
    an enrolled station with its next delivery, of an embedded office's own station at once.
    Raises: NoOfficeError (no home of either kind), CustodyError (no alarm stands).
    """
    accept = _accept_enrolled if is_enrolled(settings.home) else _accept_embedded
    alarm = accept(settings, reason)
    sizes = {"seen": untrusted_checkpoint(alarm.seen).size}
    return sizes | ({"shown": untrusted_checkpoint(alarm.shown).size} if alarm.shown else {})


def _accept_enrolled(settings: Settings, reason: str) -> LogAlarmRow:
    home = settings.home
    try:
        station = json.loads((home / ENROLMENT).read_bytes())["station"]["id"]
    except (OSError, ValueError, KeyError) as error:
        raise KeyRingError(problem="not enrolled", file=ENROLMENT) from error
    now = CentreClock(clock, time.monotonic, home / "centre-clock.json")
    journal = Journal(JournalStore(home / "station.db"), now)

    def write_note(act: str, details: dict[str, Any]) -> None:
        journal.add_note(
            act, subject=Subject.of_station(StationId(station)), outcome="success", details=details
        )

    try:
        return accept_log(journal, reason, write_note)
    finally:
        journal.close()


def _accept_embedded(settings: Settings, reason: str) -> LogAlarmRow:
    office = Office.open(settings)
    subject = Subject.of_station(StationId(settings.station))

    def write_note(act: str, details: dict[str, Any]) -> None:
        office.centre.note_act(act, subject=subject, outcome="success", details=details)

    try:
        return accept_log(office.journal, reason, write_note)
    finally:
        office.close()
