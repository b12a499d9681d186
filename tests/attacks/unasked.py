"""What an administrator changes when nobody acts and nobody asks: the daily audit names it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from storage.catalogue.log.discrepancy import What
from storage.catalogue.proofs.publish import CHECKPOINT
from storage.custody.merkle.tiles import Tile
from storage.signed.signing import SigningKey
from storage.upkeep.fixity import Problem
from tests.attacks.attack import Attack, Means
from tests.attacks.row_edits import copied_row, half_too, sql
from tests.office import Desk
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


def _let_write(machine: Machine) -> None:
    objects = machine.desk.office.settings.home / "objects"
    next(objects.glob("*/payload")).chmod(0o600)


def _plant_key(machine: Machine) -> None:
    key = SigningKey.from_seeds("station-x", bytes(range(64))).verify_key()
    folder = machine.desk.office.settings.keys
    (folder / "station-x.verify").write_text(json.dumps(key.to_json()), encoding="utf-8")


def _attack(
    asset: str, act: str, means: Means, what: What, do: Callable[[Machine], None]
) -> Attack:
    return Attack(
        asset=asset, act=act, means=means, level=None, check=f"daily audit: {what}", do=do
    )


# Found where objects are read: by `verify`, which `scrub` asks for (tests/api/office/test_integrity_check.py).
OBJECT_ATTACKS = (
    Attack(
        asset="unasked object",
        act="made writable",
        means=Means.FILES,
        level=None,
        check=f"verify: {Problem.WRITABLE}",
        do=_let_write,
    ),
)
_SQL, _FILES = Means.SQL, Means.FILES
AUDITED_ATTACKS = (
    _attack(
        "unasked row",
        "edited",
        _SQL,
        What.EDITED_ROW,
        _by_sql(sql("UPDATE recording SET officer_no='9'")),
    ),
    _attack("unasked row", "deleted", _SQL, What.MISSING_ROW, _by_sql(sql("DELETE FROM exhibit"))),
    _attack(
        "unasked row",
        "inserted upon a subject that is there",
        _SQL,
        What.UNLOGGED_ROW,
        _by_sql(copied_row("action", id="'a-9'", scene_tag="'t-9'")),
    ),
    _attack(
        "unasked row",
        "inserted upon a subject of its own",
        _SQL,
        What.UNLOGGED_ROW,
        _by_sql(copied_row("person", id="'p-9'", certificate_no="'9'")),
    ),
    _attack(
        "unasked row",
        "edited with its readable half",
        _SQL,
        What.EDITED_DETAILS,
        _by_sql(lambda database: half_too(database, "exhibit", "how")),
    ),
    _attack(
        "unasked entry",
        "its readable half deleted",
        _SQL,
        What.MISSING_DETAILS,
        _by_sql(sql("DELETE FROM custody_event WHERE act='exhibit.confirm'")),
    ),
    _attack(
        "unasked chain",
        "an entry taken out of the middle",
        _SQL,
        What.BROKEN_CHAIN,
        _by_sql(
            sql("DELETE FROM log_chain_entry WHERE number=1 AND substr(subject, 1, 7)='action:'")
        ),
    ),
    _attack(
        "unasked chain",
        "its end moved back",
        _SQL,
        What.BROKEN_CHAIN,
        _by_sql(sql("UPDATE log_chain SET count=count-1 WHERE substr(subject, 1, 7)='action:'")),
    ),
    _attack(
        "unasked node",
        "edited",
        _SQL,
        What.EDITED_NODE,
        _by_sql(sql("UPDATE log_node SET hash=zeroblob(32) WHERE level=1")),
    ),
    _attack(
        "unasked checkpoint",
        "all deleted",
        _SQL,
        What.MISSING_CHECKPOINT,
        _by_sql(sql("DELETE FROM log_checkpoint")),
    ),
    _attack("static log", "its checkpoint lost", _FILES, What.MISSING_CHECKPOINT, _lose_checkpoint),
    _attack("static log", "its entries lost", _FILES, What.EDITED_TILE, _lose_tile),
    _attack(
        "unasked key folder", "a station's key planted", _FILES, What.UNENROLLED_KEY, _plant_key
    ),
)
ATTACKS = (*AUDITED_ATTACKS, *OBJECT_ATTACKS)
UNDETECTED = (
    """Nobody's audit reads the SM3 digests of originals, for it would have to unwrap them; nor the
    immutable flag of objects, which not every file system and not every process may set.""",
    """Who stops the worker stops the daily audit: its entry is missing that day.""",
)
