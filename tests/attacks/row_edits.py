"""What an administrator with SQL does to rows before somebody acts on them.

Each statement runs behind everybody's back; what it takes from the office it finds by itself.
"""

# ruff: noqa: S608 - the attacker of these tests writes his own SQL

import json
from collections.abc import Callable
from dataclasses import dataclass

from storage.catalogue.discrepancy import What
from storage.custody import tree
from storage.custody.event import details_digest
from tests.servers.database import Database

Do = Callable[[Database], None]


@dataclass(frozen=True, slots=True)
class RowEdit:
    """One attack: what is attacked, what is done, and what the refusal names it as.

    `held_before` tells whether an act at 8c2c158 was stopped by it: none was.
    """

    asset: str
    act: str
    what: What
    do: Do

    @property
    def name(self) -> str:
        return f"{self.asset}: {self.act}"


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


def half_too(database: Database) -> None:
    _half_too(database, "moment", "note", "另一时刻")


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


EDITS = (
    RowEdit("moment", "inserted", What.UNLOGGED_ROW, copied_row("moment", id="'m-9'")),
    RowEdit("document", "inserted", What.UNLOGGED_ROW, copied_row("document", id="'d-9'")),
    RowEdit(
        "officer",
        "inserted",
        What.UNLOGGED_ROW,
        sql(
            "INSERT INTO action_officer (action_id, person_id)"
            " SELECT action.id, person.id FROM action, person WHERE person.name='shen某'"
        ),
    ),
    RowEdit(
        "account",
        "inserted for who acts",
        What.UNLOGGED_ROW,
        copied_row(
            "account",
            id="'a-9'",
            username="'x'",
            person_id="(SELECT id FROM person WHERE name='zhang某')",
        ),
    ),
    RowEdit(
        "account",
        "role edited",
        What.EDITED_ROW,
        sql("UPDATE account SET role='reviewer' WHERE username='zhang'"),
    ),
    RowEdit(
        "person",
        "certificate edited",
        What.EDITED_ROW,
        sql("UPDATE person SET certificate_no='9' WHERE name='li某'"),
    ),
    RowEdit(
        "certificate",
        "validity edited",
        What.EDITED_ROW,
        sql("UPDATE certificate SET unit='别处' WHERE number='000123'"),
    ),
    RowEdit(
        "certificate",
        "deleted",
        What.MISSING_ROW,
        sql("DELETE FROM certificate WHERE number='000123'"),
    ),
    RowEdit("action", "shortened", What.EDITED_ROW, sql("UPDATE action SET end_at=start_at")),
    RowEdit(
        "action",
        "given to another case",
        What.UNLOGGED_ROW,
        sql("UPDATE action SET case_id='c-9'"),
    ),
    RowEdit("case", "features edited", What.EDITED_ROW, sql("UPDATE case_ SET features='[\"x\"]'")),
    RowEdit("case", "party edited", What.EDITED_ROW, sql("UPDATE case_ SET party='钱某'")),
    RowEdit(
        "recording",
        "moved in time",
        What.EDITED_ROW,
        sql("UPDATE recording SET start_at='2026-11-20 01:00:00', end_at='2026-11-20 01:00:30'"),
    ),
    RowEdit("recording", "lengthened", What.EDITED_ROW, sql("UPDATE recording SET duration_s=99")),
    RowEdit("recording", "unreadable", What.EDITED_ROW, sql("UPDATE recording SET media='{'")),
    RowEdit("exhibit", "deleted", What.MISSING_ROW, sql("DELETE FROM exhibit")),
    RowEdit("moment", "deleted", What.MISSING_ROW, sql("DELETE FROM moment")),
    RowEdit("document", "backdated", What.EDITED_ROW, sql("UPDATE document SET at='2020-01-01'")),
    RowEdit("moment", "edited with its readable half", What.EDITED_DETAILS, half_too),
    RowEdit(
        "moment",
        "edited with readable half, leaf and nodes",
        What.CONTRADICTED_CHECKPOINT,
        leaf_and_nodes_too,
    ),
    RowEdit("exhibit", "undone, its entry cut off the chains", What.BROKEN_CHAIN, cut_off_link),
    RowEdit(
        "chain",
        "an entry taken out of the middle",
        What.BROKEN_CHAIN,
        sql("DELETE FROM log_chain_entry WHERE number=2 AND substr(subject, 1, 7)='action:'"),
    ),
    RowEdit(
        "chain",
        "its end edited",
        What.BROKEN_CHAIN,
        sql("UPDATE log_chain SET count=count-1 WHERE substr(subject, 1, 5)='case:'"),
    ),
    RowEdit(
        "entry",
        "its readable half deleted",
        What.MISSING_ENTRY,
        sql("DELETE FROM custody_event WHERE act='moment.mark'"),
    ),
    RowEdit(
        "node",
        "edited",
        What.CONTRADICTED_CHECKPOINT,
        sql("UPDATE log_node SET hash=zeroblob(32) WHERE level=0"),
    ),
    RowEdit("log", "newest entries deleted", What.ROLLBACK, newest_entries_gone),
)
