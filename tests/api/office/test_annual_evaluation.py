"""A township's year, counted from what the office keeps."""

from datetime import UTC, datetime, timedelta

import pytest

from api.office.reports.annual_evaluation import evaluate_township
from policies.facts.stages import ActionKind
from policies.facts.terms import ProceedingKind
from storage.catalogue.cases import cases
from storage.catalogue.holds import proceedings
from storage.catalogue.holds.proceedings import NewProceeding
from tests.office import FIRST, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    _case, action = desk.seizure(20)
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(200, 5))
    desk.sweep()
    desk.link(action)
    yield desk
    desk.office.close()


def figures(desk, year):
    office = desk.office
    with office.catalogue.read() as session:
        found = evaluate_township(
            session, office.rulebook, office.settings.township, year, office.clock()
        )
    return {one.key: one for one in found.figures}


def test_the_year_is_counted(desk):
    found = figures(desk, 2026)
    assert found["actions.seizure"].quantity == 1
    assert 0.1 < found["covered_share"].share < 0.9
    assert found["covered_whole"].quantity == 0
    assert (found["linked"].quantity, found["linked"].of) == (1, 4)  # a log lies beside each film
    assert found["staffing"].of == 6
    assert found["certified"].share == 1
    assert found["rule.xl-08-seizure-whole"].share == 0


def test_another_year_is_empty(desk):
    found = figures(desk, 2025)
    assert found["covered_share"].share is None
    assert "actions.seizure" not in found


def test_the_year_of_a_township_is_the_countys_and_its_own(desk):
    township, new_year = desk.office.settings.township, datetime(2024, 12, 31, 16, tzinfo=UTC)
    hour, who = timedelta(hours=1), f"person:{desk.persons['zhang']}"
    with desk.office.catalogue.write() as uow:
        for number, (where, start) in enumerate(
            ((township, new_year - hour), (township, new_year), ("别处", new_year))
        ):
            case = cases.open_case(
                uow, number=f"{number}", title="占道", party="孙某", township=where, actor=who
            )
            cases.add_action(
                uow,
                case_id=case.id,
                kind=ActionKind.SEIZURE,
                place="街口",
                start_at=start,
                officers=[desk.persons["zhang"], desk.persons["li"]],
                actor=who,
            )
            proceedings.register_proceeding(
                uow,
                NewProceeding(
                    kind=ProceedingKind.COMPLAINT,
                    number=f"{number}",
                    township=where,
                    about="粗暴",
                    brought_by="孙某",
                    received_at=start,
                ),
                actor=who,
            )
    for year in (2024, 2025):
        found = figures(desk, year)
        assert found["actions.seizure"].quantity == 1
        assert found["answered_in_time"].of == 1
    assert figures(desk, 2026)["actions.seizure"].quantity == 1
    assert figures(desk, 9999)["answered_in_time"].of == 0


def test_no_figure_has_any_money_in_it(desk):
    for one in figures(desk, 2026).values():
        for word in ("罚款", "没收", "金额", "元", "fine", "confiscat", "amount", "yuan"):
            assert word not in f"{one.key} {one.zh} {one.en}".lower(), one
