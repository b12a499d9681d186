"""The chains that the catalogue keeps are those of the entries, from whatever version on."""

import pytest

from storage.bundle.reading import GivenEntry
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.proofs.case_chains import BEGUN, begin_chains, belonging_to
from storage.custody.entries.chain import ChainWalk
from storage.custody.entries.event import parse_leaf
from storage.custody.entries.subjects import CONTINUES, NAMES, find_hidden_subjects
from tests.old_log import before_chains, forget_chains


def entries(catalogue):
    with catalogue.read() as session:
        log = LogReader(session)
        return [
            GivenEntry(index, leaf.encode(), parse_leaf(leaf.encode()), event.details, None)
            for index, leaf, event in log.read_readable_halves(range(log.size))
        ]


def check(catalogue):
    """Compare what the catalogue says of its chains with a walk over all entries."""
    walk, places = ChainWalk(), {}
    for one in entries(catalogue):
        assert walk.add(one.entry, one.leaf) == []
        if one.entry["v"] != 1:
            assert find_hidden_subjects(one.entry, one.details) == set()
        for subject in one.entry.get("chains", [one.entry["subject"]]):
            places.setdefault(subject, []).append(one.index)
    with catalogue.read() as session:
        log = LogReader(session)
        assert log.chain_heads(walk.subjects) == {one: walk.get_head(one) for one in walk.subjects}
        assert log.chain_entries(walk.subjects) == places
    return walk


def test_every_audited_table_says_whose_chain_its_rows_continue():
    names = {table.__tablename__: table for table in AUDITED}
    assert set(CONTINUES) == set(names)
    assert set(NAMES) <= set(names)
    for columns in (CONTINUES, NAMES):
        for table, told in columns.items():
            assert set(told) <= {column.key for column in names[table].__table__.columns}


@pytest.fixture
def old_desk(tmp_path):
    from tests.office import FIRST, Desk, dock, segment

    with before_chains():
        desk = Desk.set_up(tmp_path)
        case, action = desk.seizure(30)
        dock(desk, "bay-1", FIRST, segment(-5, 45))
        desk.sweep()
        (linked,) = desk.link(action)
    forget_chains(desk.office.catalogue)
    desk.case, desk.action, desk.linked = case, action, linked
    yield desk
    desk.office.close()


@pytest.mark.database
def test_a_log_of_before_begins_its_chains_and_goes_on(old_desk, tmp_path):
    office = old_desk.office
    before = entries(office.catalogue)
    assert {one.entry["v"] for one in before} == {1}
    office.catalogue.migrate_tables()
    check(office.catalogue)
    for _ in range(2):
        begin_chains(office.catalogue)
    walk = check(office.catalogue)
    told = entries(office.catalogue)
    assert [one.leaf for one in told[: len(before)]] == [one.leaf for one in before]
    assert [one.entry["act"] for one in told[len(before) :]] == ["case.chain", "log.begin-chains"]
    assert walk.get_head(BEGUN).count == 1
    with office.catalogue.read() as session:
        found = belonging_to(session, old_desk.case)
    persons = {f"person:{old_desk.persons[name]}" for name in ("zhang", "li")}
    ours = {f"case:{old_desk.case}", f"action:{old_desk.action}", f"recording:{old_desk.linked}"}
    assert ours | persons <= found


@pytest.mark.database
@pytest.mark.parametrize("at_once", [2, 200])
def test_a_bundle_of_an_office_of_before_is_whole(old_desk, tmp_path, at_once, monkeypatch):
    from api.office.evidence.export import export_bundle
    from api.office.wiring import Office
    from storage.bundle.verify import verify
    from tests.office import Desk

    monkeypatch.setattr("storage.catalogue.proofs.case_chains.AT_ONCE", at_once)
    old_desk.office.close()
    office = Office.open(old_desk.office.settings)
    try:
        desk = Desk(office, type(old_desk.service).of_office(office), old_desk.persons)
        export_bundle(desk.service, desk.visitor("zhang"), old_desk.case, tmp_path / "bag")
        report = verify(tmp_path / "bag", office.settings.keys)
        assert report.passed, report.format_lines()
        check(office.catalogue)
    finally:
        office.close()
