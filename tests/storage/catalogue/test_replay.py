"""A replay of the catalogue's log, on both databases: whole when nothing is wrong, long or old."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, text

from storage.catalogue.audit.replay import RUN, kept_leaves, replay_catalogue, replay_static
from storage.catalogue.log.tables import LogLeafRow, LogNodeRow
from storage.catalogue.proofs.case_chains import begin_chains
from storage.catalogue.proofs.publish import newest_signed_head, publish_head
from storage.custody.entries.event import PremisType
from storage.custody.merkle import tree
from storage.custody.outside_head import Contradiction, HeldLog, list_contradictions
from storage.errors import CustodyError
from tests.old_log import before_chains, forget_chains


def add(catalogue, count=1, **more):
    with catalogue.write() as uow:
        for number in range(count):
            subject = f"case:{number % 7}"
            uow.record("test.act", PremisType.VALIDATION, actor="system", subject=subject, **more)


def faults(catalogue, signer, *signed):
    with catalogue.read() as session:
        told = replay_catalogue(session, signer.keys, [("given", one) for one in signed])
        return [one.kind for one in told]


def change(catalogue, statement, **values):
    with catalogue._writer.begin() as connection:
        assert connection.execute(text(statement), values).rowcount


def test_a_log_of_several_runs_of_entries_replays_whole(catalogue, signer, tmp_path):
    add(catalogue, 5)
    first = publish_head(catalogue, signer, tmp_path)
    add(catalogue, RUN + 3)
    newest = publish_head(catalogue, signer, tmp_path)
    counted = []
    assert faults(catalogue, signer, first, newest) == []
    with catalogue.read() as session:
        assert list(replay_catalogue(session, signer.keys, (), counted.append)) == []
    assert counted == [RUN, 8]
    assert list(replay_static(tmp_path, signer.keys)) == []


def test_rows_of_people_and_stations_are_about_their_subjects(catalogue, signer, office):
    assert office
    assert faults(catalogue, signer, publish_head(catalogue, signer)) == []


def test_entries_of_before_chains_and_what_ties_them_together_replay_whole(catalogue, signer):
    with before_chains():
        add(catalogue, 20)
    forget_chains(catalogue)
    catalogue.migrate_tables()
    begin_chains(catalogue)
    add(catalogue, 20, heads=["case:3"])
    assert faults(catalogue, signer, publish_head(catalogue, signer)) == []


def test_many_heads_that_contradict_are_told_twice_and_not_each(catalogue, signer):
    add(catalogue, 3)
    for _ in range(4):
        add(catalogue)
        publish_head(catalogue, signer)
    leaf = "replace(leaf, 'test.act', 'test.axt')"
    change(catalogue, f'UPDATE log_leaf SET leaf = {leaf} WHERE "index" = 0')  # noqa: S608
    found = faults(catalogue, signer)
    assert found.count("false-root") == 2
    assert "not-in-tree" in found


def test_a_head_over_more_than_there_is_and_one_nobody_signed_are_named(catalogue, signer):
    add(catalogue, 9)
    newest = publish_head(catalogue, signer)
    with catalogue._writer.begin() as connection:
        connection.execute(delete(LogLeafRow).where(LogLeafRow.index > 5))
    assert set(faults(catalogue, signer, newest)) == {"rolled-back"}
    assert "false-signature" in faults(catalogue, signer, newest.replace("\n9\n", "\n8\n"))


def test_a_damaged_node_is_no_fork(catalogue, signer):
    add(catalogue, 9)
    publish_head(catalogue, signer)
    with catalogue.read() as session:
        seen = newest_signed_head(session, signer.keys)
    add(catalogue, 9)
    publish_head(catalogue, signer)
    with catalogue._writer.begin() as connection:
        connection.execute(delete(LogNodeRow).where(LogNodeRow.level == 1))
    with catalogue.read() as session:
        head = newest_signed_head(session, signer.keys)

        def node(level, index):
            row = session.get(LogNodeRow, (level, index))
            if row is None:
                raise CustodyError(problem="a node of the log is missing")
            return row.hash

        log = HeldLog(head, node, lambda: kept_leaves(session))
        other = replace(seen, root=tree.leaf_hash(b"another history"))
        assert list_contradictions(log, [seen]) == {}
        assert list_contradictions(log, [seen, other]) == {other: Contradiction.FORKED}
        lost = HeldLog(head, node, lambda: iter([b"x"]))
        with pytest.raises(CustodyError):
            list_contradictions(lost, [other])
