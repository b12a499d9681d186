"""Pages go on at a place, not at a number: what comes or goes meanwhile moves nothing else."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from policies.facts.stages import Stage
from storage.catalogue.cases import cases
from storage.catalogue.engine.keyset import page_by_keys
from storage.catalogue.people import people
from storage.catalogue.reading import case_queries
from storage.catalogue.tables import CaseRow, SourceRow
from tests import clocks
from tests.many_recordings import plans

WHO = "person:p1"
LABELS = ("a", "A", "记录仪", "记录仪10", "记录仪2", "é", "z", "_", "")


@pytest.fixture
def opened(catalogue, office, clock):
    """Open a case; several are opened at the same moment."""
    number = iter(range(10**6))

    def act(*, at=None):
        if at is not None:
            clock.now = at - timedelta(seconds=2)
            clocks.accept(catalogue)
        with catalogue.write() as uow:
            row = cases.open_case(
                uow,
                number=f"{next(number)}",
                title="占道",
                party="孙某",
                township=office.township,
                stage=Stage.REGISTRATION,
                actor=WHO,
            )
        return row.id

    return act


@pytest.mark.parametrize("newest", [True, False])
def test_a_list_that_grows_while_it_is_read_loses_and_repeats_nothing(
    catalogue, opened, now, newest
):
    chance = random.Random(7)
    moments = [now + timedelta(hours=chance.randrange(4)) for _ in range(24)]
    before = {opened(at=at) for at in moments[:16]}
    seen, after = [], ()
    keys = (CaseRow.opened_at, CaseRow.id)
    for at in moments[16:] * 9:
        with catalogue.read() as session:
            page = session.scalars(
                page_by_keys(select(CaseRow), keys, after, 3, newest=newest)
            ).all()
        seen += [(row.opened_at, row.id) for row in page]
        if len(page) < 3:
            break
        after = seen[-1]
        if len(seen) < 20:
            opened(at=at)  # before the place, behind it, or at the very moment of it
    assert seen == sorted(set(seen), reverse=newest)
    assert before <= {one for _, one in seen}


def test_texts_keep_one_order_however_the_server_sorts_them(catalogue, office):
    with catalogue.write() as uow:
        for number, label in enumerate(LABELS * 2):
            people.add_source(
                uow,
                serial=f"S{number:02}",
                kind="recorder",
                family="",
                label=label,
                township=office.township,
                actor=WHO,
            )
    with catalogue.read() as session:
        whole = [row.serial for row in people.list_sources(session)]
        found, after = [], ()
        while page := people.list_sources(session, after=after, limit=2):
            found += [row.serial for row in page]
            after = (page[-1].label, page[-1].serial)
        assert found == whole
        assert len(found) == len(session.scalars(select(SourceRow)).all())


def test_a_page_of_cases_is_read_by_its_index(catalogue, opened, office):
    for _ in range(3):
        opened()
    with catalogue.read() as session:
        if session.get_bind().dialect.name != "sqlite":
            return  # PostgreSQL reads three rows faster without
        last = case_queries.list_cases(session, limit=1)[0]
        for only in (None, office.township):
            (plan,) = plans(
                catalogue._engine,
                session,
                lambda only=only: case_queries.list_cases(
                    session, township=only, after=(last.opened_at, last.id), limit=51
                ),
            )
            assert "opened" in plan
            assert "TEMP B-TREE" not in plan
