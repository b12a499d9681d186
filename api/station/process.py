"""A township's station as a process of its own: enrolled once, then HTTPS outward and nothing else.

Its home holds public sealing keys, its own signing key, the journal and the spool; nothing in it
opens footage. `enrol` makes the home against a one-time code; `StationHome.open` opens it.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from api.office.enrolment import ENROL_DOMAIN, fingerprint_centre_keys, read_code
from api.office.home_parts import ENROLMENT
from api.office.settings.settings import Settings
from api.office.station_parts import bays_of, hold_station
from api.office.system import clock, entropy, software_version
from api.problems import bay_reason_zh, bay_zh
from ingest.bays.bay import Bay, Progress
from ingest.bays.settle import Patience
from ingest.media.sandbox import Effort, Sandbox
from ingest.sources.profile_files import OWN as OWN_PROFILES
from ingest.sources.profile_files import Profile, load_profiles
from ingest.station.clear import Clearing
from ingest.station.delivery.centre_client import Address, CentreClient, Wire
from ingest.station.delivery.centre_clock import CentreClock
from ingest.station.delivery.delivery_queue import DAMAGED, Delivery, Tally
from ingest.station.delivery.remote_centre import RemoteCentre
from ingest.station.delivery.spool import Spool
from ingest.station.journal import Journal, State
from ingest.station.seal import Seal
from ingest.station.station import Station
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.stations.journal_tables import BayRow
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.origin import OriginChange, follow_origin
from storage.digest import Algorithm
from storage.durable import replace_file
from storage.errors import EnrolmentError, KeyRingError, LiuhenError, SignatureError
from storage.signed import canonical
from storage.signed.signing import SigningKey, VerifyKey, sign_document
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.keys import KeyRing, SealKey, keep_log_key, write_station_ring

CA = "centre.pem"
_GIB = 1 << 30
_FILLING, _FULL = 0.8, 0.98  # shares of the spool's limit
_CLOCK_OFF = timedelta(minutes=2)
_OVERDUE = timedelta(hours=24)  # footage is to be handed in within 24 hours (第八条)


def is_enrolled(home: Path) -> bool:
    """Tell whether this home is an enrolled station's."""
    return (home / ENROLMENT).exists()


def enrol_station(settings: Settings, url: str, code_text: str, ca: Path | None) -> dict[str, Any]:
    """Enrol this machine with a centre; return the centre's reply. Repeatable.

    The key is made here, before the first call, and never leaves; an answer that was lost is
    asked for again with the same key. Nothing of an earlier enrolment is overwritten but by a
    new code.
    Raises: EnrolmentError (code; keys: who answered is not who gave the code), CentreAwayError,
    CentreRefusedError.
    """
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    code = read_code(code_text)
    kept_ca = home / CA if ca is not None else None
    if ca is not None and kept_ca is not None:
        replace_file(kept_ca, ca.read_bytes())
    making = home / f".enrolling-{code.secret_hash[:16]}"
    seeds = _load_seeds(making)
    wire = Wire(Address(url, kept_ca))
    key = SigningKey.from_seeds(code.station, seeds)
    body = {"code": code.secret_hash, "key": key.verify_key().to_json()}
    document = sign_document(key, ENROL_DOMAIN, body).decode()
    try:
        reply = wire.request_json(
            "POST", "/api/v1/stations/enrol", document={"code": str(code), "document": document}
        )
    finally:
        wire.close()
    if fingerprint_centre_keys(reply["keys"]) != code.fingerprint:
        raise EnrolmentError("keys", url=url)
    ring = home / "keys"
    fresh = home / f".keys-{code.secret_hash[:16]}"
    shutil.rmtree(fresh, ignore_errors=True)
    write_station_ring(
        fresh,
        key,
        centre=VerifyKey.from_json(reply["keys"]["centre"]),
        log=VerifyKey.from_json(reply["keys"]["log"]),
        recipients=[SealKey.from_json(key) for key in reply["keys"]["recipients"]],
    )
    if ring.exists():
        ring.rename(home / f"keys-before-{code.secret_hash[:8]}")
    fresh.rename(ring)
    enrolment_record = {
        "url": url,
        "ca": CA if ca is not None else None,
        "station": reply["station"],
        "county": reply["county"],
        "expires_at": reply["expires_at"],
    }
    replace_file(home / ENROLMENT, canonical.encode(enrolment_record))
    making.unlink(missing_ok=True)
    return enrolment_record


def _load_seeds(path: Path) -> bytes:
    """Return the new key's seeds, made once for each code and kept until it is enrolled."""
    if not path.exists():
        temporary = path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(entropy(64))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class _HomeParts:
    """What of a home is open already, when the parts that stand on it are made."""

    settings: Settings
    enrolment: dict[str, Any]
    ring: KeyRing
    key: SigningKey
    journal: Journal
    clock: CentreClock
    monotonic: Callable[[], float]
    on_step: Callable[[str], None]

    def open_centre(self, undo: ExitStack) -> RemoteCentre:
        """Open the spool and the way to the centre; connects to nobody yet."""
        home = self.settings.home
        ca = home / self.enrolment["ca"] if self.enrolment["ca"] else None
        spool = _spool_state(self.settings)
        # Nobody else writes here, for the home is locked: every temporary is left over.
        spool.objects.sweep(datetime.max.replace(tzinfo=UTC))
        wire = Wire(Address(self.enrolment["url"], ca), self.settings.centre_timeout_s)
        undo.callback(wire.close)
        log_names = self.ring.get_verify_key("log").names
        name = self.enrolment["station"]["id"]
        client = CentreClient(wire, name, self.key, log_names, self.clock, entropy)
        return RemoteCentre(client, spool, self.journal, self.monotonic, self.on_step)

    def build_station(
        self,
        centre: RemoteCentre,
        patience: Patience | None,
        profiles: Sequence[Profile],
        listen: Callable[[Progress], None],
    ) -> Station:
        """Build the station that seals into the spool of this home."""
        settings = self.settings
        return Station(
            journal=self.journal,
            centre=centre,
            sandbox=Sandbox.detect(),
            seal=Seal(
                station=self.enrolment["station"]["id"],
                key=self.key,
                recipients=self.ring.recipients,
                algorithms=(Algorithm.SHA256, Algorithm.SM3)
                if settings.sm3
                else (Algorithm.SHA256,),
                software=software_version(),
            ),
            centre_key=self.ring.get_verify_key("centre"),
            log_key=self.ring.get_verify_key("log"),
            clock=self.clock,
            monotonic=self.monotonic,
            entropy=entropy,
            patience=patience or Patience(settings.quiet_s, settings.growing_s),
            effort=Effort(share=settings.inspect_share),
            clearing=Clearing(settings.clear, settings.clear_days),
            per_hub=settings.per_hub,
            profiles=profiles,
            on_step=self.on_step,
            listen=listen,
        )


@dataclass(slots=True)
class StationHome:
    """One enrolled station, opened."""

    settings: Settings
    enrolment: dict[str, Any]
    ring: KeyRing
    journal: Journal
    centre: RemoteCentre
    clock: CentreClock
    station: Station
    delivery: Delivery
    tally: Tally
    on_step: Callable[[str], None]
    _lock: int
    away: str | None = None  # the code of why the centre did not answer last
    reached_at: datetime | None = None  # when it last did, since this process began

    @classmethod
    def open(
        cls,
        settings: Settings,
        listen: Callable[[Progress], None] = lambda _progress: None,
        on_step: Callable[[str], None] = lambda _step: None,
        patience: Patience | None = None,
        *,
        system: Callable[[], datetime] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "StationHome":
        """Open the home of an enrolled station; recovers what a crash left.

        `system` and `monotonic` are this computer's clocks unless given.

        Raises: KeyRingError (not enrolled), StationBusyError, ProfileError.
        """
        with ExitStack() as undo:
            home = cls._opened(
                undo,
                settings,
                listen=listen,
                on_step=on_step,
                patience=patience,
                system=system or clock,
                monotonic=monotonic,
            )
            undo.pop_all()
        return home

    @classmethod
    def _opened(
        cls,
        undo: ExitStack,
        settings: Settings,
        *,
        listen: Callable[[Progress], None],
        on_step: Callable[[str], None],
        patience: Patience | None,
        system: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> "StationHome":
        """Open all parts of a home; `undo` closes those that are open where a later one fails."""
        home = settings.home
        try:
            enrolment = json.loads((home / ENROLMENT).read_bytes())
        except (OSError, ValueError) as error:
            raise KeyRingError(problem="not enrolled", file=ENROLMENT) from error
        profiles = load_profiles(home / OWN_PROFILES)  # refused before anything is done
        # Before anything is read or mended: what another process has in hand is not left over.
        name = enrolment["station"]["id"]
        lock = hold_station(home, name)
        undo.callback(os.close, lock)
        ring = KeyRing.load(home / "keys")
        key = ring.get_signing_key(f"station-{name}")
        now = CentreClock(system, monotonic, home / "centre-clock.json")
        journal = Journal(JournalStore(home / "station.db"), now)
        undo.callback(journal.close)
        parts = _HomeParts(settings, enrolment, ring, key, journal, now, monotonic, on_step)
        centre = parts.open_centre(undo)
        station = parts.build_station(centre, patience, profiles, listen)
        station.recover_entries()
        # After the recovery: only a station that is whole follows its log to another origin.
        centre.learn_origins = partial(_follow_log, home, station, centre)
        delivery = Delivery(station, centre, now, settings.streams)
        return cls(
            settings,
            enrolment,
            ring,
            journal,
            centre,
            now,
            station,
            delivery,
            Tally(),
            on_step,
            lock,
        )

    def bays(self) -> list[Bay]:
        """Return the bays and landing folders of the settings."""
        return bays_of(self.settings)

    def deliver(self) -> Tally:
        """Make one pass of deliveries and tell the centre how the station is."""
        self.tally = tally = self.delivery.run()
        if tally.away is not None:
            self.away = tally.away
        elif tally.accessioned or tally.notes:
            self._mark_reached()
        return tally

    def report(self) -> None:
        """Tell the centre how the station is, and learn its time. Raises: as `CentreClient.ask`."""
        try:
            self._report_status()
        except LiuhenError as error:
            self.away = error.code
            raise
        self._mark_reached()

    def _mark_reached(self) -> None:
        self.away, self.reached_at = None, self.clock()

    def _report_status(self) -> None:
        self.centre.client.measure_clock()
        document = {
            "bays": [
                {"name": bay.name, "state": bay.state, "reason": bay.reason}
                for bay in list_bay_states(self.settings, self.journal)
            ],
            "spool": self.spool(),
            "clock": self.clock().isoformat(),
            "offset_s": round(self.clock.offset.total_seconds(), 3),
            "software": software_version(),
        }
        self.centre.client.request_json("PUT", "/status", document)

    def spool(self) -> dict[str, Any]:
        """Return how full the spool is and what is wrong; see `spool_of`."""
        return spool_of(self.journal, self.centre.spool, self.clock, self.away)

    def close(self) -> None:
        """Let go of the journal, and of the home."""
        with ExitStack() as ending:
            ending.callback(os.close, self._lock)
            ending.callback(self.journal.close)
            self.centre.client.wire.close()


def _follow_log(
    home: Path, station: Station, centre: RemoteCentre, reply: Mapping[str, Any]
) -> None:
    """Know the custody log under its origin of today, once it proved that it changed to it.

    Raises: SignatureError, CustodyError, KeyRingError.
    """
    own_log_key = station.log_key
    try:
        key = VerifyKey.from_json(reply["log"])
        changes = [OriginChange.from_json(change) for change in reply["changes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SignatureError(problem="no origins of the log") from error
    followed = follow_origin(own_log_key, key, changes[len(own_log_key.former) :])
    keep_log_key(home / "keys", followed)
    station.log_key, centre.client.origins = followed, followed.names


def bay_names(settings: Settings) -> list[str]:
    """Return the names of what this station watches: bays, landing folders, then cameras."""
    return [bay.name for bay in bays_of(settings)] + sorted(settings.cameras)


def list_bay_states(settings: Settings, journal: Journal) -> list[BayRow]:
    """Return what the bays of the settings show; the journal remembers others that are no more."""
    rows = {row.name: row for row in journal.list_bays()}
    return [rows[name] for name in bay_names(settings) if name in rows]


def read_station_state(settings: Settings) -> dict[str, Any]:
    """Return what the running station shows: bays, spool, the centre's log. Changes nothing.

    Raises: KeyRingError when this home is no station's.
    """
    home = settings.home
    if not is_enrolled(home):
        raise KeyRingError(problem="not enrolled", file=ENROLMENT)
    now = CentreClock(clock, time.monotonic, home / "centre-clock.json")
    journal = Journal(JournalStore(home / "station.db"), now)
    try:
        away = next(iter(journal.reasons_in(State.SEALED)), None)
        bays = [
            {
                "name": bay.name,
                "state": bay.state,
                "state_zh": bay_zh(bay.state),
                "source": bay.source,
                "files": [bay.files_done, bay.files_total],
                "bytes": [bay.bytes_done, bay.bytes_total],
                "current": bay.current,
                "reason": bay.reason,
                "reason_zh": bay_reason_zh(bay.reason, bay.facts),
            }
            for bay in list_bay_states(settings, journal)
        ]
        spool = spool_of(journal, _spool_state(settings), now, away)
        log = _log_of(journal)
    finally:
        journal.close()
    return {"bays": bays, "spool": spool, "log": log}


def spool_of(journal: Journal, spool: Spool, now: CentreClock, away: str | None) -> dict[str, Any]:
    """Return the spool's fill, its limit and the age of what waits longest, with alarms.

    `alarms`: spool-filling (over 80 %), spool-full, overdue (over 24 h), clock, spool-damaged (a
    recorder must be docked again), and the code of what keeps deliveries from going on.
    """
    used = spool.measure_used()
    backlog = journal.list_backlog()
    oldest = min((backlog_entry.since for backlog_entry in backlog), default=None)
    alarms = []
    if used >= spool.limit * _FILLING:
        alarms.append("spool-full" if used >= spool.limit * _FULL else "spool-filling")
    if oldest is not None and now() - oldest > _OVERDUE:
        alarms.append("overdue")
    if abs(now.offset) > _CLOCK_OFF:
        alarms.append("clock")
    if DAMAGED in journal.reasons_in(State.SEALED):
        alarms.append(DAMAGED)
    if (alarm := journal.log_alarm()) is not None:
        alarms.append(f"log-{alarm.how}")
    if away is not None and away not in alarms:
        alarms.append(away)
    return {
        "used": used,
        "limit": spool.limit,
        "waiting": sum(backlog_entry.files for backlog_entry in backlog),
        "oldest": oldest.isoformat() if oldest else None,
        "notes": len(journal.list_notes()),
        "refused": sum(backlog_entry.troubled for backlog_entry in backlog),
        "alarms": alarms,
    }


def _log_of(journal: Journal) -> dict[str, Any] | None:
    """Return the newest head that was seen of the centre's log, and whether it was proven."""
    log_head = journal.log_head()
    if log_head is None:
        return None
    head = untrusted_checkpoint(log_head.checkpoint)
    return {"origin": head.origin, "size": head.size, "proven": log_head.proven}


def _spool_state(settings: Settings) -> Spool:
    root = settings.home / "spool"
    return Spool(
        FolderObjects(root, entropy, immutable=False),
        root,
        limit=int(settings.spool_gb * _GIB),
        reserve=int(settings.spool_reserve_gb * _GIB),
    )
