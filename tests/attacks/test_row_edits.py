"""Rows are edited past the program, and somebody acts on them: the act is refused and logged."""

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from api.office.evidence.export import export_bundle
from api.office.reports import duty_list
from policies.facts.stages import Stage
from storage.bundle.verify import verify
from storage.catalogue.cases import case_file, cases
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.unit_of_work import RowsDifferError
from storage.custody.entries.subjects import INTEGRITY
from tests.attacks.row_edits import EDITS
from tests.office import FIRST, PASSWORD, SECOND, Desk, dock, segment
from tests.sampling import sample
from tests.servers.database import Database


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An office with a seizure that may be closed, every entry of it under a signed head."""
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    _case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    desk.service.publish_checkpoint()
    return desk.rest()


@pytest.fixture
def desk(template, tmp_path):
    desk = template.copy(tmp_path / "office")
    yield desk
    desk.office.close()


@pytest.fixture
def database(desk):
    return Database(desk.office.settings.database)


def the_case(desk):
    with desk.office.catalogue.read() as session:
        (case,) = cases.list_cases(session)
        (action,) = cases.list_actions(session, case.id)
    return case.id, action.id


def events(desk, act):
    with desk.office.catalogue.read() as session:
        wanted = select(CustodyEventRow).where(CustodyEventRow.act == act)
        return session.scalars(wanted.order_by(CustodyEventRow.index)).all()


def test_what_nobody_edited_is_closed_and_exported(desk, tmp_path):
    case, action = the_case(desk)
    assert desk.close(action).allowed
    export_bundle(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    assert not events(desk, "custody.alarm")


ALWAYS = [one for one in EDITS if one.asset == "row exhibit"]


@pytest.mark.parametrize("edit", sample(EDITS, ALWAYS, 5), ids=lambda edit: edit.name)
def test_nobody_closes_on_edited_rows(edit, desk, database):
    _case, action = the_case(desk)
    try:
        edit.do(database)
    except psycopg.IntegrityError as error:
        pytest.skip(f"PostgreSQL itself refuses this: {type(error).__name__}")
    with pytest.raises(RowsDifferError) as refused:
        desk.close(action)
    assert edit.what in {one.kind for one in refused.value.found}


def test_the_refusal_and_its_alarm_are_in_the_log_though_the_act_is_undone(desk, database):
    _case, action = the_case(desk)
    actor = f"person:{desk.persons['zhang']}"
    database.execute("UPDATE action SET place='别处'")
    with pytest.raises(RowsDifferError):
        desk.close(action)
    (tried,) = events(desk, "action.close")
    assert (tried.outcome, tried.actor, tried.subject) == ("refused", actor, f"action:{action}")
    assert [one["subject"] for one in tried.details["wrong"]] == [f"action {action}"]
    (alarm,) = events(desk, "custody.alarm")
    assert (alarm.subject, alarm.details["tried"]) == (INTEGRITY, "action.close")
    assert database.rows("SELECT status FROM action") == [("open",)]


def test_the_same_alarm_is_raised_once_and_another_again(desk, database):
    _case, action = the_case(desk)
    database.execute("UPDATE action SET place='别处'")
    for _ in range(3):
        with pytest.raises(RowsDifferError):
            desk.close(action)
    assert (len(events(desk, "action.close")), len(events(desk, "custody.alarm"))) == (3, 1)
    database.execute("UPDATE case_ SET party='钱某'")
    with pytest.raises(RowsDifferError):
        desk.close(action)
    assert len(events(desk, "custody.alarm")) == 2
    assert not desk.service.verify_office(desk.visitor("shen")).verified
    with pytest.raises(RowsDifferError):
        desk.close(action)
    assert len(events(desk, "custody.alarm")) == 2


def test_put_back_it_is_closed_and_the_refusal_stays_in_its_bundle(desk, database, tmp_path):
    case, action = the_case(desk)
    database.execute("UPDATE action SET place='别处'")
    with pytest.raises(RowsDifferError):
        desk.close(action)
    database.execute("UPDATE action SET place='村东仓库'")
    assert desk.close(action).allowed
    export_bundle(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    assert verify(tmp_path / "bag", desk.office.settings.keys).passed
    assert "rows-differ" in (tmp_path / "bag/data/custody/entries.jsonl").read_text()


ACTOR = "person:somebody"


def _move(desk):
    case, _action = the_case(desk)
    with desk.office.catalogue.write() as uow:
        cases.move_case(uow, case, Stage.REVIEW, desk.office.rulebook, actor=ACTOR)


def _decide(desk):
    case, _action = the_case(desk)
    with desk.office.catalogue.write() as uow:
        case_file.record_decision(
            uow,
            case,
            desk.persons["shen"],
            desk.office.rulebook,
            penalty=True,
            signed_by_head=True,
            text="罚款",
            actor=ACTOR,
        )


def _export(desk):
    case, _action = the_case(desk)
    folder = desk.office.settings.home.parent / "bag"
    export_bundle(desk.service, desk.visitor("zhang"), case, folder)
    assert folder.exists()


@pytest.mark.parametrize("act", [_move, _decide, _export])
def test_nobody_moves_decides_or_exports_without_a_row(act, desk, database):
    database.execute("DELETE FROM exhibit WHERE recording_id=(SELECT min(id) FROM recording)")
    with pytest.raises(RowsDifferError):
        act(desk)
    assert len(events(desk, "custody.alarm")) == 1
    assert not [one for one in events(desk, "bundle.export") if one.outcome == "success"]


def test_the_refusal_is_told_in_both_languages_and_names_the_row(desk, database):
    _case, action = the_case(desk)
    database.execute("UPDATE action SET place='别处'")
    client = TestClient(create_app(desk.service), base_url="https://testserver")
    token, _until = desk.service.identity.login("zhang", PASSWORD)
    client.headers["Authorization"] = f"Bearer {token}"
    answer = client.post(f"/api/v1/actions/{action}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, "rows-differ")
    assert f"action {action}" in answer.json()["detail"]


def test_the_alarm_stands_until_everything_is_verified(desk, database):
    _case, action = the_case(desk)
    assert desk.service.readiness.check_readiness() == {"status": "ready"}
    database.execute("UPDATE action SET place='别处'")
    with pytest.raises(RowsDifferError):
        desk.close(action)
    assert desk.service.readiness.check_readiness() == {
        "status": "ready",
        "integrity": "rows-differ",
    }
    first, *_others = duty_list.iterate_duties(desk.office, desk.office.clock())
    assert (first.subject, first.rule) == (INTEGRITY, "rows-differ")
    assert not desk.service.verify_office(desk.visitor("shen")).verified
    assert desk.service.readiness.check_readiness()["integrity"] == "audit-failed"
    database.execute("UPDATE action SET place='村东仓库'")
    assert desk.service.verify_office(desk.visitor("shen")).verified
    assert desk.service.readiness.check_readiness() == {"status": "ready"}
