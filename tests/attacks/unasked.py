"""What an administrator changes when nobody acts and nobody asks: the daily audit names it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage import digest
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.catalogue.proofs.publish import CHECKPOINT
from storage.custody.merkle.tiles import Tile
from storage.digest import Algorithm
from storage.signed.signing import SigningKey
from storage.upkeep.fixity import Problem
from storage.vault.folder.file_flags import set_immutable
from tests.attacks.attack import Attack, Means
from tests.attacks.row_edits import copied_row, half_too, sql
from tests.office import SECOND, Desk, dock, segment
from tests.servers.database import Database


@dataclass(frozen=True, slots=True)
class Machine:
    """An office's machine in the hands of its administrator."""

    desk: Desk

    @property
    def database(self) -> Database:
        return Database(self.desk.office.settings.database)


def _by_sql(do: Callable[[Database], None]) -> Callable[[Machine], None]:
    return lambda machine: do(machine.database)


def _lose_checkpoint(machine: Machine) -> None:
    (machine.desk.office.settings.home / "log" / CHECKPOINT).unlink()


def _lose_tile(machine: Machine) -> None:
    (machine.desk.office.settings.home / "log" / Tile(None, 0, 1).path).parent.rename(
        machine.desk.office.settings.home / "away"
    )


def _swell(pattern: str) -> Callable[[Machine], None]:
    """Make the newest of some published files longer than any memory."""

    def do(machine: Machine) -> None:
        found = (machine.desk.office.settings.home / "log").glob(pattern)
        os.truncate(max(found, key=lambda path: (len(path.name), path.name)), 1 << 38)

    return do


def payload_of(machine: Machine) -> Path:
    return min((machine.desk.office.settings.home / "objects").glob("*/payload"))


def _chmod(mode: int) -> Callable[[Machine], None]:
    return lambda machine: payload_of(machine).chmod(mode)


def _unlocked(machine: Machine) -> None:
    """Put the note of a lock back to an earlier date."""
    path = payload_of(machine)
    note = path.parent / ".lock" / f"{path.name}.json"
    told = json.loads(note.read_bytes()) | {"retain_until": "2026-11-21T00:00:00+00:00"}
    note.chmod(0o600)
    note.write_text(json.dumps(told), encoding="utf-8")


def _take_away(machine: Machine) -> None:
    payload_of(machine).unlink()


def _open_to_others(name: str, mode: int) -> Callable[[Machine], None]:
    return lambda machine: (machine.desk.office.settings.home / name).chmod(mode)


def melt(machine: Machine) -> None:
    """Take the second fence from an object."""
    assert set_immutable(payload_of(machine), immutable=False)


def seal_with_false_sm3(machine: Machine) -> None:
    """Take a recorder in by a station whose program calls something else SM3."""
    before = digest._HASHLIB[Algorithm.SM3]
    digest._HASHLIB[Algorithm.SM3] = "sha3_256"
    try:
        dock(machine.desk, "bay-2", SECOND, segment(0, 10))
        machine.desk.sweep()
    finally:
        digest._HASHLIB[Algorithm.SM3] = before


def _plant_key(machine: Machine) -> None:
    key = SigningKey.from_seeds("station-x", bytes(range(64))).verify_key()
    folder = machine.desk.office.settings.keys
    (folder / "station-x.verify").write_text(json.dumps(key.to_json()), encoding="utf-8")


def _attack(
    asset: str,
    act: str,
    means: Means,
    what: DiscrepancyKind | Problem,
    do: Callable[[Machine], None],
) -> Attack:
    return Attack(
        asset=asset, act=act, means=means, level=None, check=f"daily audit: {what}", do=do
    )


_SQL, _FILES, _OBJECT = Means.SQL, Means.FILES, "unasked object"
# The audit reads none; `scrub` has each read in its turn (tests/api/office/test_integrity_check.py).
OBJECT_ATTACKS = (
    _attack(_OBJECT, "made writable", _FILES, Problem.WRITABLE, _chmod(0o600)),
    _attack(_OBJECT, "made writable for all", _FILES, Problem.WRITABLE, _chmod(0o666)),
    _attack(_OBJECT, "made readable for all", _FILES, Problem.MODE, _chmod(0o1444)),
    _attack(_OBJECT, "its lock shortened", _FILES, Problem.LOCK, _unlocked),
    _attack(_OBJECT, "deleted", _FILES, Problem.MISSING_OBJECT, _take_away),
)
HOME_ATTACKS = (
    _attack(
        "home",
        "opened to others",
        _FILES,
        DiscrepancyKind.OPEN_TO_OTHERS,
        _open_to_others(".", 0o755),
    ),
    _attack(
        "home",
        "its store writable for all",
        _FILES,
        DiscrepancyKind.OPEN_TO_OTHERS,
        _open_to_others("objects", 0o777),
    ),
    _attack(
        "home",
        "the signer's memory writable for all",
        _FILES,
        DiscrepancyKind.OPEN_TO_OTHERS,
        _open_to_others("log-signer/head", 0o666),
    ),
)
# Asked for in offices of their own: where files are made immutable, and where SM3 is worked out.
FENCE_ATTACKS = (_attack(_OBJECT, "its immutable flag cleared", _FILES, Problem.MUTABLE, melt),)
SM3_ATTACKS = (
    _attack(
        "SM3 digest",
        "false in a record, sealed so by a changed station",
        Means.ALL_KEYS,
        Problem.DIGEST,
        seal_with_false_sm3,
    ),
)
AUDITED_ATTACKS = (
    _attack(
        "unasked row",
        "edited",
        _SQL,
        DiscrepancyKind.EDITED_ROW,
        _by_sql(sql("UPDATE recording SET officer_no='9'")),
    ),
    _attack(
        "unasked row",
        "deleted",
        _SQL,
        DiscrepancyKind.MISSING_ROW,
        _by_sql(sql("DELETE FROM exhibit")),
    ),
    _attack(
        "unasked row",
        "inserted upon a subject that is there",
        _SQL,
        DiscrepancyKind.UNLOGGED_ROW,
        _by_sql(copied_row("action", id="'a-9'", scene_tag="'t-9'")),
    ),
    _attack(
        "unasked row",
        "inserted upon a subject of its own",
        _SQL,
        DiscrepancyKind.UNLOGGED_ROW,
        _by_sql(copied_row("person", id="'p-9'", certificate_no="'9'")),
    ),
    _attack(
        "unasked row",
        "edited with its readable half",
        _SQL,
        DiscrepancyKind.EDITED_DETAILS,
        _by_sql(lambda database: half_too(database, "exhibit", "how")),
    ),
    _attack(
        "unasked entry",
        "its readable half deleted",
        _SQL,
        DiscrepancyKind.MISSING_DETAILS,
        _by_sql(sql("DELETE FROM custody_event WHERE act='exhibit.confirm'")),
    ),
    _attack(
        "unasked chain",
        "an entry taken out of the middle",
        _SQL,
        DiscrepancyKind.BROKEN_CHAIN,
        _by_sql(
            sql("DELETE FROM log_chain_entry WHERE number=1 AND substr(subject, 1, 7)='action:'")
        ),
    ),
    _attack(
        "unasked chain",
        "its end moved back",
        _SQL,
        DiscrepancyKind.BROKEN_CHAIN,
        _by_sql(sql("UPDATE log_chain SET count=count-1 WHERE substr(subject, 1, 7)='action:'")),
    ),
    _attack(
        "unasked node",
        "edited",
        _SQL,
        DiscrepancyKind.EDITED_NODE,
        _by_sql(sql("UPDATE log_node SET hash=zeroblob(32) WHERE level=1")),
    ),
    _attack(
        "unasked checkpoint",
        "all deleted",
        _SQL,
        DiscrepancyKind.MISSING_CHECKPOINT,
        _by_sql(sql("DELETE FROM log_checkpoint")),
    ),
    _attack(
        "static log",
        "its checkpoint lost",
        _FILES,
        DiscrepancyKind.MISSING_CHECKPOINT,
        _lose_checkpoint,
    ),
    _attack("static log", "its entries lost", _FILES, DiscrepancyKind.EDITED_TILE, _lose_tile),
    _attack(
        "static log",
        "its entries made endless",
        _FILES,
        DiscrepancyKind.EDITED_TILE,
        _swell("tile/e*/*/*"),
    ),
    _attack(
        "static log",
        "its hashes made endless",
        _FILES,
        DiscrepancyKind.EDITED_TILE,
        _swell("tile/0/*/*"),
    ),
    _attack(
        "static log",
        "its checkpoint made endless",
        _FILES,
        DiscrepancyKind.EDITED_CHECKPOINT,
        _swell(CHECKPOINT),
    ),
    _attack(
        "unasked key folder",
        "a station's key planted",
        _FILES,
        DiscrepancyKind.UNENROLLED_KEY,
        _plant_key,
    ),
)
ATTACKS = (*AUDITED_ATTACKS, *OBJECT_ATTACKS, *HOME_ATTACKS, *FENCE_ATTACKS, *SM3_ATTACKS)
UNDETECTED = (
    """Modes and the immutable flag are compared where the medium keeps them, and the flag where the
    service may set it: elsewhere nothing is fenced, and nothing named. Who clears one and puts it
    back between two audits is not seen; nor who clears a flag and what the store noted of it.""",
    """Who has the vault's online private key, or the machine that holds it, reads originals, and no
    entry tells of it.""",
    """Who stops the worker stops the daily audit: its entry is missing that day.""",
)
