"""What an administrator with SQL does to rows before somebody acts on them.

Each statement runs behind everybody's back; what it takes from the office it finds by itself.
"""

# ruff: noqa: S608 - the attacker of these tests writes his own SQL

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.custody.entries.event import details_digest
from storage.custody.merkle import tree
from tests.attacks.attack import Attack, Means
from tests.servers.database import Database

Do = Callable[[Database], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEdit(Attack):
    """An attack, and what the refusal of the act names it as. No act at 8c2c158 was refused."""

    what: DiscrepancyKind


def edit_before(action: str, asset: str, act: str, what: DiscrepancyKind, do: Do) -> RowEdit:
    """Return the attack of editing past the program before somebody acts on the rows."""
    return RowEdit(
        asset=f"row {asset}" if asset not in _LOGS_OWN else asset,
        act=act,
        means=Means.SQL,
        level=None,
        check=f"{action}: {what}",
        do=do,
        what=what,
    )


_LOGS_OWN = ("chain", "entry", "node", "log")


def sql(*statements: str) -> Do:
    """Run statements, each of which changes something."""

    def do(database: Database) -> None:
        for statement in statements:
            assert database.execute(statement), statement

    return do


def copied_row(table: str, **changed: str) -> Do:
    """Insert a copy of a table's first row; `changed` are SQL expressions by column."""

    def do(database: Database) -> None:
        wanted = _SQLITE_COLUMNS if database.sqlite else _COLUMNS
        columns = [name for (name,) in database.rows(wanted.format(table))]
        values = [changed.get(name, f'"{name}"') for name in columns]
        names = ", ".join(f'"{name}"' for name in columns)
        statement = f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} LIMIT 1"
        assert database.execute(statement) == 1

    return do


_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name='{}'"
_SQLITE_COLUMNS = "SELECT name FROM pragma_table_info('{}')"


def _half_too(database: Database, table: str, column: str, new: str) -> tuple[int, str, bytes]:
    """Edit a row, and the state in the readable half that logged it last."""
    database.execute(f"UPDATE {table} SET {column}=?", new)
    ((index, text, salt),) = database.rows(
        'SELECT "index", details, salt FROM custody_event WHERE details LIKE ?'
        ' ORDER BY "index" DESC LIMIT 1',
        f'%"table":"{table}"%',
    )
    details = json.loads(text)
    for row in details["rows"]:
        if row["table"] == table:
            row["state"][column] = new
    text = json.dumps(details, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    database.execute('UPDATE custody_event SET details=? WHERE "index"=?', text, index)
    return index, text, salt


def half_too(database: Database, table: str = "moment", column: str = "note") -> None:
    _half_too(database, table, column, "另一时刻")


def leaf_and_nodes_too(database: Database) -> None:
    """Rewrite the entry, its hash, and every node above it; sign nothing."""
    index, text, salt = _half_too(database, "moment", "note", "另一时刻")
    ((leaf,),) = database.rows('SELECT leaf FROM log_leaf WHERE "index"=?', index)
    entry = json.loads(leaf)
    entry["details"] = details_digest(json.loads(text), salt)
    leaf = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    digest = tree.leaf_hash(leaf.encode())
    database.execute('UPDATE log_leaf SET leaf=?, hash=? WHERE "index"=?', leaf, digest, index)
    nodes = {
        (level, place): found
        for level, place, found in database.rows('SELECT level, "index", hash FROM log_node')
    }
    nodes[0, index] = digest
    for level, place in sorted(nodes):
        if level:
            sides = (bytes(nodes[level - 1, 2 * place + side]) for side in (0, 1))
            nodes[level, place] = tree.node_hash(*sides)
    for (level, place), found in nodes.items():
        database.execute(
            'UPDATE log_node SET hash=? WHERE level=? AND "index"=?', bytes(found), level, place
        )


def cut_off_link(database: Database) -> None:
    """Make the linking undone: the row as it was proposed, and the chains ending before it."""
    ((index, recording),) = database.rows(
        """SELECT "index", subject FROM custody_event WHERE act='exhibit.confirm'
           ORDER BY "index" DESC LIMIT 1"""
    )
    database.execute(
        "UPDATE exhibit SET state='proposed', decided_by=NULL WHERE recording_id=?",
        recording.partition(":")[2],
    )
    ((leaf,),) = database.rows('SELECT leaf FROM log_leaf WHERE "index"=?', index)
    for subject, (count, digest) in json.loads(leaf)["chains"].items():
        database.execute(
            "DELETE FROM log_chain_entry WHERE subject=? AND number>=?", subject, count
        )
        database.execute(
            "UPDATE log_chain SET count=?, digest=? WHERE subject=?",
            count,
            bytes.fromhex(digest.partition(":")[2]),
            subject,
        )


def newest_entries_gone(database: Database) -> None:
    ((last,),) = database.rows('SELECT max("index") FROM log_leaf')
    for table in ("log_leaf", "custody_event", "log_chain_entry"):
        database.execute(f'DELETE FROM {table} WHERE "index">?', last - 3)
    database.execute('DELETE FROM log_node WHERE ("index" + 1) * (1 << level) > ?', last - 2)


_closing = partial(edit_before, "closing")
EDITS = (
    _closing("moment", "inserted", DiscrepancyKind.UNLOGGED_ROW, copied_row("moment", id="'m-9'")),
    _closing(
        "document", "inserted", DiscrepancyKind.UNLOGGED_ROW, copied_row("document", id="'d-9'")
    ),
    _closing(
        "officer",
        "inserted",
        DiscrepancyKind.UNLOGGED_ROW,
        sql(
            "INSERT INTO action_officer (action_id, person_id)"
            " SELECT action.id, person.id FROM action, person WHERE person.name='shen某'"
        ),
    ),
    _closing(
        "account",
        "inserted for who acts",
        DiscrepancyKind.UNLOGGED_ROW,
        copied_row(
            "account",
            id="'a-9'",
            username="'x'",
            person_id="(SELECT id FROM person WHERE name='zhang某')",
        ),
    ),
    _closing(
        "account",
        "role edited",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE account SET role='reviewer' WHERE username='zhang'"),
    ),
    _closing(
        "person",
        "certificate edited",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE person SET certificate_no='9' WHERE name='li某'"),
    ),
    _closing(
        "certificate",
        "validity edited",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE certificate SET unit='别处' WHERE number='000123'"),
    ),
    _closing(
        "certificate",
        "deleted",
        DiscrepancyKind.MISSING_ROW,
        sql("DELETE FROM certificate WHERE number='000123'"),
    ),
    _closing(
        "action", "shortened", DiscrepancyKind.EDITED_ROW, sql("UPDATE action SET end_at=start_at")
    ),
    _closing(
        "action",
        "given to another case",
        DiscrepancyKind.UNLOGGED_ROW,
        sql("UPDATE action SET case_id='c-9'"),
    ),
    _closing(
        "case",
        "features edited",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE case_ SET features='[\"x\"]'"),
    ),
    _closing(
        "case", "party edited", DiscrepancyKind.EDITED_ROW, sql("UPDATE case_ SET party='钱某'")
    ),
    _closing(
        "recording",
        "moved in time",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE recording SET start_at='2026-11-20 01:00:00', end_at='2026-11-20 01:00:30'"),
    ),
    _closing(
        "recording",
        "lengthened",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE recording SET duration_s=99"),
    ),
    _closing(
        "recording", "unreadable", DiscrepancyKind.EDITED_ROW, sql("UPDATE recording SET media='{'")
    ),
    _closing("exhibit", "deleted", DiscrepancyKind.MISSING_ROW, sql("DELETE FROM exhibit")),
    _closing("moment", "deleted", DiscrepancyKind.MISSING_ROW, sql("DELETE FROM moment")),
    _closing(
        "document",
        "backdated",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE document SET at='2020-01-01'"),
    ),
    _closing("moment", "edited with its readable half", DiscrepancyKind.EDITED_DETAILS, half_too),
    _closing(
        "moment",
        "edited with readable half, leaf and nodes",
        DiscrepancyKind.CONTRADICTED_CHECKPOINT,
        leaf_and_nodes_too,
    ),
    _closing(
        "exhibit",
        "undone, its entry cut off the chains",
        DiscrepancyKind.BROKEN_CHAIN,
        cut_off_link,
    ),
    _closing(
        "chain",
        "an entry taken out of the middle",
        DiscrepancyKind.BROKEN_CHAIN,
        sql("DELETE FROM log_chain_entry WHERE number=2 AND substr(subject, 1, 7)='action:'"),
    ),
    _closing(
        "chain",
        "its end edited",
        DiscrepancyKind.BROKEN_CHAIN,
        sql("UPDATE log_chain SET count=count-1 WHERE substr(subject, 1, 5)='case:'"),
    ),
    _closing(
        "entry",
        "its readable half deleted",
        DiscrepancyKind.MISSING_ENTRY,
        sql("DELETE FROM custody_event WHERE act='moment.mark'"),
    ),
    _closing(
        "node",
        "edited",
        DiscrepancyKind.CONTRADICTED_CHECKPOINT,
        sql("UPDATE log_node SET hash=zeroblob(32) WHERE level=0"),
    ),
    _closing("log", "newest entries deleted", DiscrepancyKind.ROLLBACK, newest_entries_gone),
)

_destroying = partial(edit_before, "destroying")
KEEPING_EDITS = (
    _destroying("hold", "deleted", DiscrepancyKind.MISSING_ROW, sql("DELETE FROM hold")),
    _destroying(
        "hold", "another's", DiscrepancyKind.EDITED_ROW, sql("UPDATE hold SET party='钱某'")
    ),
    _destroying(
        "hold",
        "released in its columns",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE hold SET released_at=placed_at, released_by='person:x', released_why='x'"),
    ),
    _destroying(
        "recording",
        "kept for less long",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE recording SET retain_until='2026-01-01 00:00:00+00:00'"),
    ),
    _destroying(
        "disposition",
        "its cooling-off time gone",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE disposition SET not_before='2026-01-01 00:00:00+00:00'"),
    ),
    _destroying(
        "approval",
        "numbered anew",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE disposition_approval SET number=9"),
    ),
    _destroying(
        "approval", "deleted", DiscrepancyKind.MISSING_ROW, sql("DELETE FROM disposition_approval")
    ),
)
RELEASE_EDITS = (
    *KEEPING_EDITS[1:3],
    edit_before(
        "releasing",
        "release",
        "its reason edited",
        DiscrepancyKind.EDITED_ROW,
        sql("UPDATE hold_release SET reason='x'"),
    ),
)
ATTACKS = (*EDITS, *KEEPING_EDITS, RELEASE_EDITS[-1])
UNDETECTED = (
    """An act rests on rows whose last entry is younger than the signer's last head, and somebody
    rewrote that entry, its nodes and the rows before a head was signed: five minutes at most, and
    closing, moving, deciding, exporting, approving and releasing have a head signed first. What
    was forged then is signed, and stays in the log.""",
    """Somebody cuts an entry that is older than the newest 2,048 off the end of its chain in the
    tables before somebody acts: the act is not refused. The daily audit names it, as a replay
    does.""",
    """Triggers inside the database, and tables that no entry holds: sessions, jobs, uploads.""",
)
