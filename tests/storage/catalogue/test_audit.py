"""Somebody with the database file in his hands: whatever he changes is named."""

# ruff: noqa: S608 - the attacker of these tests writes his own SQL

import shutil
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event

from policies.facts.stages import ActionKind
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.cases import cases
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.catalogue.people import people
from storage.catalogue.proofs.publish import publish_head
from storage.catalogue.recordings import recordings
from storage.custody.checkpoint import sign_checkpoint, untrusted_checkpoint
from storage.custody.entries.event import PremisType
from storage.custody.merkle import tree
from tests.servers.database import Database

WHO = "system"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def office_at_work(catalogue, office, new, signer, folder, now):
    """Every kind of row, several states of some, and two published heads."""
    with catalogue.write() as uow:
        (recording,) = recordings.accession_recordings(
            uow, new(inspection=[{"kind": "x", "weight": "fact"}])
        )
        account = people.create_account(
            uow,
            username="zhang",
            password_hash="hash",
            role="officer",
            person_id=office.first.id,
            actor=WHO,
        )
        people.add_source(
            uow,
            serial="R1",
            kind="recorder",
            family="f",
            label="l",
            township=office.township,
            actor=WHO,
        )
    publish_head(catalogue, signer, folder)
    with catalogue.write() as uow:
        recordings.keep_receipts(uow, {recording.id: "receipt"})
        people.set_disabled(uow, account.id, disabled=True, actor=WHO)
        case = cases.open_case(
            uow, number="1", title="t", party="p", township=office.township, actor=WHO
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.SEIZURE,
            place="x",
            start_at=now,
            end_at=now + timedelta(seconds=30),
            officers=[office.first.id],
            actor=WHO,
        )
        cases.propose_exhibits(uow, action.id, actor=WHO)
    publish_head(catalogue, signer, folder)
    return recording


@pytest.fixture
def tamper(database):
    """Change the database behind everybody's back."""

    def run(sql, *values):
        try:
            assert database.execute(sql, *values) == 1
        except (psycopg.DataError, psycopg.errors.DatatypeMismatch) as error:
            pytest.skip(f"PostgreSQL's own types refuse this: {type(error).__name__}")

    return run


@pytest.fixture
def found(catalogue, signer, folder, office_at_work):
    def run(**given):
        options = {"signed": signer.read_last_checkpoint(), "folder": folder} | given
        with catalogue.read() as session:
            return [
                (d.kind, d.subject, d.facts)
                for d in audit_catalogue(session, signer.keys, **options)
            ]

    return run


def names(found):
    return [(what, subject) for what, subject, _facts in found]


def test_an_honest_catalogue_has_nothing_to_hide(found):
    assert found() == []
    assert found(signed=None, folder=None) == []


def test_an_edited_row_is_named_with_its_column(found, tamper, office_at_work):
    tamper("UPDATE recording SET name='other.mp4', officer_no='777'")
    ((what, subject, facts),) = found()
    assert (what, subject) == (DiscrepancyKind.EDITED_ROW, f"recording {office_at_work.id}")
    assert facts["changed"] == ["name", "officer_no"]


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("UPDATE recording SET record_text='forged'", "recording"),
        ("UPDATE recording SET receipt_text=NULL", "recording"),
        ("UPDATE recording SET end_at='2026-11-23 03:00:00.000000'", "recording"),
        ("UPDATE recording SET end_at='no time at all'", "recording"),
        ("UPDATE recording SET media='not json'", "recording"),
        ("UPDATE recording SET video_gaps='[[1,2]]'", "recording"),
        ("UPDATE recording SET size=x'00'", "recording"),
        ("UPDATE recording SET name=CAST(x'ff' AS TEXT)", "recording"),
        ("UPDATE recording SET duration_s=9e999", "recording"),
        ("UPDATE account SET password_hash='mine'", "account"),
        ("UPDATE account SET disabled=0", "account"),
        ("UPDATE recording SET marked='perhaps'", "recording"),
        ("UPDATE exhibit SET state='confirmed'", "exhibit"),
        ("UPDATE action SET status='closed'", "action"),
        ("UPDATE case_ SET stage='closing'", "case_"),
        ("UPDATE station SET township='other'", "station"),
        ("UPDATE source SET label='another'", "source"),
        ("UPDATE person SET certificate_no='003' WHERE certificate_no='002'", "person"),
    ],
)
def test_no_table_can_be_edited_unseen(found, tamper, sql, table):
    tamper(sql)
    ((what, subject, _facts),) = found()
    assert (what, subject.split()[0]) == (DiscrepancyKind.EDITED_ROW, table)


def test_a_deleted_row_is_named(found, tamper):
    tamper("DELETE FROM exhibit")
    ((what, subject, _facts),) = found()
    assert (what, subject.split()[0]) == (DiscrepancyKind.MISSING_ROW, "exhibit")


def test_a_row_that_nobody_logged_is_named(found, tamper):
    tamper("INSERT INTO station (id, name, township) VALUES ('s9', 'n', 't')")
    assert names(found()) == [(DiscrepancyKind.UNLOGGED_ROW, "station s9")]


def test_a_row_put_back_to_an_earlier_state_is_named(found, tamper):
    tamper("UPDATE account SET disabled=0, username='zhang'")
    assert names(found())[0][0] == DiscrepancyKind.EDITED_ROW


def test_an_edited_entry_is_named(found, tamper):
    tamper(
        """UPDATE log_leaf SET leaf=replace(leaf, '"outcome":"success"', '"outcome":"refused"')
           WHERE "index"=2"""
    )
    assert names(found()) == [(DiscrepancyKind.EDITED_ENTRY, "entry 2")]
    assert names(found(signed=None, folder=None)) == [(DiscrepancyKind.EDITED_ENTRY, "entry 2")]


@pytest.mark.parametrize("leaf", ["x'ff'", "CAST(x'ff' AS TEXT)", "''", "'{}'"])
def test_an_entry_that_is_not_even_text_is_named(found, tamper, leaf):
    tamper(f'UPDATE log_leaf SET leaf={leaf} WHERE "index"=2')
    assert names(found()) == [(DiscrepancyKind.EDITED_ENTRY, "entry 2")]


def test_edited_details_are_named_with_what_they_are_about(found, tamper, office_at_work):
    tamper(
        "UPDATE custody_event SET details=replace(details, 'R1', 'R2') WHERE act='recording.access'"
        " OR act='recording.accession'"
    )
    what, subject, facts = found()[0]
    assert (what, facts["changed"]) == (DiscrepancyKind.EDITED_DETAILS, ["details"])
    assert facts["subject"] == f"recording:{office_at_work.id}"
    assert subject == f"entry {office_at_work.leaf_index}"


@pytest.mark.parametrize(
    "change",
    ["actor='person:p9'", "at='2020-01-01 00:00:00.000000'", "at='x'", "details='x'", "salt=x''"],
)
def test_no_column_of_an_event_can_be_edited_unseen(found, tamper, change):
    tamper(f'UPDATE custody_event SET {change} WHERE "index"=0')
    assert (DiscrepancyKind.EDITED_DETAILS, "entry 0") in names(found())


def test_deleted_details_are_named(found, tamper):
    tamper('DELETE FROM custody_event WHERE "index"=1')
    assert (DiscrepancyKind.MISSING_DETAILS, "entry 1") in names(found())


def test_an_entry_taken_from_the_middle_is_named(found, tamper):
    tamper('DELETE FROM log_leaf WHERE "index"=3')
    told = names(found())
    assert told[0] == (DiscrepancyKind.MISSING_ENTRY, "entry 3")
    assert {what for what, _ in told} == {
        DiscrepancyKind.MISSING_ENTRY,
        DiscrepancyKind.EDITED_NODE,
    } or len(told) == 1


def test_a_log_cut_short_is_a_rollback(found, tamper, catalogue, signer):
    size = untrusted_checkpoint(signer.read_last_checkpoint()).size
    tamper(f'DELETE FROM log_leaf WHERE "index"={size - 1}')
    what, _subject, facts = found()[0]
    assert what == DiscrepancyKind.ROLLBACK
    assert facts == {"signed": size, "found": size - 1}


def test_an_old_copy_is_a_rollback(found, catalogue, signer, another, backup, folder):
    old = backup()
    with catalogue.write() as uow:
        people.add_station(uow, id="s2", name="n", township="t", actor=WHO)
    publish_head(catalogue, signer)
    with another(old).read() as session:
        (told,) = audit_catalogue(
            session, signer.keys, signed=signer.read_last_checkpoint(), folder=folder
        )
    assert told.kind == DiscrepancyKind.ROLLBACK


def rewrite(database, index):
    """Edit an entry and everything in the database that hangs on it, keys aside."""
    ((leaf,),) = database.rows('SELECT leaf FROM log_leaf WHERE "index"=?', index)
    forged = leaf.replace('"actor":"system"', '"actor":"station:other"')
    assert forged != leaf
    database.execute(
        'UPDATE log_leaf SET leaf=?, hash=? WHERE "index"=?',
        forged,
        tree.leaf_hash(forged.encode()),
        index,
    )
    database.execute("UPDATE custody_event SET actor='station:other' WHERE \"index\"=?", index)
    leaves = [
        row[0].encode() for row in database.rows('SELECT leaf FROM log_leaf ORDER BY "index"')
    ]
    nodes = {}
    for size, text in enumerate(leaves):
        for level, place, made in tree.append_leaf(size, text, lambda a, b: nodes[a, b]):
            nodes[level, place] = made
            database.execute(
                'UPDATE log_node SET hash=? WHERE level=? AND "index"=?', made, level, place
            )


def test_a_wholly_rewritten_database_is_still_named_by_the_static_log(found, database):
    rewrite(database, 1)
    assert names(found()) == [(DiscrepancyKind.EDITED_ENTRY, "entry 1")]


def test_without_the_static_log_the_signed_heads_contradict_it(found, database, signer):
    rewrite(database, 1)
    told = names(found(folder=None))
    assert {what for what, _ in told} == {DiscrepancyKind.CONTRADICTED_CHECKPOINT}


def test_an_edited_node_is_named(found, tamper):
    tamper('UPDATE log_node SET hash=zeroblob(32) WHERE level=0 AND "index"=0')
    assert (DiscrepancyKind.EDITED_NODE, "node 0/0") in names(found())


def test_a_missing_node_is_named(found, tamper):
    tamper('DELETE FROM log_node WHERE level=1 AND "index"=0')
    told = [item for item in found() if item[1] == "node 1/0"]
    assert told[0][2]["missing"] is True


def test_a_checkpoint_that_nobody_signed_is_named(found, tamper):
    tamper(
        "UPDATE log_checkpoint SET text=replace(text, 'liuhen', 'ljuhen')"
        " WHERE size=(SELECT max(size) FROM log_checkpoint)"
    )
    assert names(found())[0][0] == DiscrepancyKind.EDITED_CHECKPOINT


def test_a_signed_head_of_another_tree_is_contradicted(found, signer, now):
    other = type(untrusted_checkpoint(signer.read_last_checkpoint()))(signer.origin, 3, bytes(32))
    told = names(found(signed=sign_checkpoint(other, signer._key, now)))
    assert told == [(DiscrepancyKind.CONTRADICTED_CHECKPOINT, "checkpoint 3")]


def test_an_edited_tile_is_named_and_the_entries_are_not_blamed(found, folder):
    (tile,) = (folder / "tile/0/000.p").glob("[0-9]*[0-9]")
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    assert {what for what, _ in names(found())} == {DiscrepancyKind.EDITED_TILE}


def newest(folder):
    return max(folder.glob("*"), key=lambda path: int(path.name))


def test_edited_static_files_are_named(found, folder):
    bundle = newest(folder / "tile/entries/000.p")
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    told = names(found())
    assert told == [(DiscrepancyKind.EDITED_TILE, f"tile/entries/000.p/{bundle.name}")]
    bundle.write_bytes(whole[:-1])
    assert names(found()) == told
    bundle.write_bytes(whole)
    newest(folder / "tile/0/000.p").write_bytes(b"short")
    assert {what for what, _ in names(found())} == {DiscrepancyKind.EDITED_TILE}
    (folder / "checkpoint").write_text("nothing")
    assert names(found()) == [(DiscrepancyKind.EDITED_CHECKPOINT, "the published checkpoint")]


def test_a_torn_database_file_is_named(found, catalogue, tmp_path, signer, another, database):
    if not database.sqlite:
        pytest.skip("a page of SQLite's own file; PostgreSQL checks its pages at every read")
    with catalogue._engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "catalogue.sqlite", tmp_path / "torn.sqlite")
    data = bytearray((tmp_path / "torn.sqlite").read_bytes())
    data[3 * 4096 : 3 * 4096 + 200] = b"\xff" * 200
    (tmp_path / "torn.sqlite").write_bytes(data)
    with another(Database(f"sqlite:///{tmp_path}/torn.sqlite")).read() as session:
        (told,) = audit_catalogue(session, signer.keys)
    assert told.kind == DiscrepancyKind.DAMAGED_DATABASE
    assert told.to_json()["what"] == "damaged-database"


@pytest.mark.parametrize("whole", [True, False])
def test_an_audit_asks_by_runs_and_not_entry_by_entry(catalogue, found, whole):
    asked = []
    event.listen(catalogue._engine, "before_cursor_execute", lambda *_told: asked.append(1))

    def questions():
        with catalogue.read() as session:
            size = LogReader(session).size
        asked.clear()
        assert found(part=None if whole else range(size)) == []
        return len(asked)

    before = questions()
    with catalogue.write() as uow:
        for number in range(200):
            uow.record("case.note", PremisType.VALIDATION, actor=WHO, subject=f"case:{number % 20}")
    assert questions() < before + 20
