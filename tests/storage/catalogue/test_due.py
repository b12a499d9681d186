"""What falls due is found in order, page by page, by its own index, whatever else is stored."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from policies.rules.rulebook import load_rulebook
from storage.catalogue.retention import retention
from storage.catalogue.tables import RecordingRow
from tests.many_recordings import DESTROYED, DUE_AT, Stock, fill, plans, township

STOCK = Stock(recordings=5_000, few=50)


@pytest.fixture
def full(catalogue, url):
    catalogue.close()  # filled past it; it opens again by itself
    fill(url, STOCK)
    return catalogue


def paged(session, at, limit, **only):
    """Walk through the whole list as a screen does, from cursor to cursor."""
    found, after = [], None
    while page := retention.list_due_recordings(session, at, after=after, limit=limit, **only):
        assert len(page) <= limit
        found += page
        after = page[-1].retain_until, page[-1].id
    return found


def judged(session, at, **only):
    """Find the same by looking at every row there is."""
    rows = session.scalars(select(RecordingRow)).all()
    assert len(rows) == STOCK.recordings
    wanted = [row for row in rows if row.destroyed_at is None and row.retain_until <= at]
    wanted = [row for row in wanted if all(getattr(row, k) == v for k, v in only.items())]
    return [row.id for row in sorted(wanted, key=lambda row: (row.retain_until, row.id))]


def test_what_is_due_comes_in_order_of_promise_and_nothing_that_was_destroyed(full):
    with full.read() as session:
        few = retention.list_due_recordings(session, DUE_AT, limit=STOCK.recordings)
        assert [row.id for row in few] == judged(session, DUE_AT)
        many = retention.list_due_recordings(session, STOCK.later, limit=STOCK.recordings)
        assert [row.id for row in many] == judged(session, STOCK.later)
        gone = select(RecordingRow).where(RecordingRow.retain_until <= DUE_AT)
        assert len(session.scalars(gone).all()) > len(few) + STOCK.recordings // DESTROYED // 2
    assert (len(few), len(many)) == (STOCK.few, 10 * STOCK.few)


def test_a_promise_that_ends_this_moment_is_due_and_a_microsecond_earlier_it_is_not(full):
    with full.read() as session:
        last = retention.list_due_recordings(session, DUE_AT, limit=STOCK.recordings)[-1]
        before = last.retain_until - timedelta(microseconds=1)
        assert last.id in {
            row.id for row in retention.list_due_recordings(session, last.retain_until)
        }
        assert last.id not in {row.id for row in retention.list_due_recordings(session, before)}


def test_pages_leave_out_nothing_and_repeat_nothing_among_equal_promises(full):
    with full.read() as session:
        wanted = judged(session, DUE_AT)
        for limit in (1, 7, STOCK.few):
            found = paged(session, DUE_AT, limit)
            assert [row.id for row in found] == wanted
    assert len({row.retain_until for row in found}) <= STOCK.few // 4  # many are equal


def test_a_township_is_shown_its_own_alone(full):
    with full.read() as session:
        found = paged(session, STOCK.later, 7, township=township(3))
        assert [row.id for row in found] == judged(session, STOCK.later, township=township(3))
    assert 0 < len(found) < 10 * STOCK.few


@pytest.fixture(params=["counted", "never counted"])
def planned(request, full, database):
    """Both ways in which SQLite may know the tables; PostgreSQL counts by itself."""
    if request.param == "never counted":
        if not database.sqlite:
            pytest.skip("PostgreSQL counts by itself")
        database.execute("DROP TABLE sqlite_stat1")
    return full


@pytest.mark.parametrize("only", [{}, {"township": township(3)}], ids=["county", "township"])
@pytest.mark.parametrize("continued", [False, True], ids=["first page", "next page"])
def test_the_database_goes_by_the_index_of_what_is_due(planned, database, only, continued):
    full = planned
    with full.read() as session:
        after = None
        if continued:
            last = retention.list_due_recordings(session, DUE_AT, limit=20)[-1]
            after = last.retain_until, last.id
        (plan,) = plans(
            full._engine,
            session,
            lambda: retention.list_due_recordings(session, DUE_AT, after=after, **only),
        )
    ours = "ix_recording_township_due" if only else "ix_recording_due"
    assert ours in plan or (only and "ix_recording_due" in plan and not database.sqlite), plan
    assert "Seq Scan" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan  # sorted all that is due to show one page of it
    if continued:
        begins = "(retain_until,id)>(?,?)" if database.sqlite else "Index Cond"
        (line,) = [line for line in plan.splitlines() if begins in line]
        assert database.sqlite or "ROW(retain_until, (id)::text) > ROW(" in line, plan


def test_what_keeps_a_page_of_them_is_found_by_indexes_alone(full, database):
    rulebook = load_rulebook()
    if database.sqlite:
        database.execute("DROP TABLE sqlite_stat1")  # or it reads these small tables as a whole
    with full.read() as session:
        ids = [row.id for row in retention.list_due_recordings(session, DUE_AT)]
        found = plans(
            full._engine,
            session,
            lambda: retention.explain_retention(session, rulebook, ids, DUE_AT),
        )
        kept = retention.explain_retention(session, rulebook, ids, DUE_AT)
    assert any(one.reasons_at(DUE_AT) for one in kept.values())
    for plan in found:
        assert not [line for line in plan.splitlines() if line.startswith("SCAN")], plan
