"""Every list comes in pages of one form; what may stay an array is named here, with its reason."""

import html
import re
from datetime import datetime

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.http.paging import read_cursor, write_cursor
from api.problems import ApiError
from policies.facts.stages import Stage
from policies.facts.terms import HoldReason, MomentKind, ProceedingKind
from policies.retention.holds import of_person
from storage.catalogue.cases import case_file, cases
from storage.catalogue.holds import holds, proceedings, releases
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.jobs import jobs
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people
from storage.catalogue.retention.tables import DispositionRow, ReclassificationRow
from storage.catalogue.stations.tables import HandedInRow
from storage.custody.entries.event import PremisType
from tests.office import FIRST, PASSWORD, SEIZED_AT, Desk, dock, segment

# Arrays that cannot grow with the county or with the years.
BOUNDED = {
    "/api/v1/bays": "the bays of one station",
    "/api/v1/stations": "the stations of one county, those with alarms first: one a township",
    "/api/v1/rules": "the rules of the rulebook in force",
    "/api/v1/evaluation": "the figures of one year: a fixed set",
    "/api/v1/jobs/kinds": "the kinds of jobs that the software knows",
    "/api/v1/actions/{action}/proposals": "what was just proposed (case_facts.MAX_NEARBY at most)",
    "/api/v1/register/import": "a line for each line of the list that was sent",
    "/api/v1/register/sources/{serial}/assignment": "the one source that was assigned",
}
ROWS = 3


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def filled(desk):
    """Three of everything that is listed; return ids that paths ask for."""
    case, action = desk.seizure(20)
    dock(desk, "bay-1", FIRST, segment(-5, 30))
    recording = str(desk.sweep()[0].recording)
    for number in range(ROWS):
        _fill(desk, number, action, recording)
    return {"case": case, "action": action, "recording": recording}


def _fill(desk, number, action, recording):
    """Bring one more of everything."""
    township, who = desk.office.settings.township, f"person:{desk.persons['zhang']}"
    by, since = desk.visitor("shen").person, SEIZED_AT
    with desk.office.catalogue.write() as uow:
        case = cases.open_case(
            uow,
            number=f"案{number}",
            title="占道",
            party="孙某",
            township=township,
            stage=Stage.REGISTRATION,
            actor=who,
        )
        case_file.mark_moment(uow, action, MomentKind.RIGHTS, since, note=f"{number}", actor=who)
        proceedings.register_proceeding(
            uow,
            NewProceeding(
                kind=ProceedingKind.COMPLAINT,
                number=f"{number}",
                township=township,
                about="粗暴",
                brought_by="孙某",
                received_at=since,
            ),
            actor=who,
        )
        new = NewHold(reason=HoldReason.INVESTIGATION, authority=of_person(by), case_id=case.id)
        releases.propose_for_hold(uow, holds.place_hold(uow, new, actor=who).id, "查清", by=by)
        people.add_source(
            uow,
            serial=f"S{number}",
            kind="recorder",
            family="",
            label="记录仪",
            township=township,
            actor=who,
        )
        people.add_person(uow, name="同名", kind="officer", unit="队", township=township, actor=who)
        random_checks.draw_recordings(
            uow, seed="1", purpose=f"{number}", count=1, inspectors=[], actor=who
        )
        jobs.register_worker(uow, f"worker-{number}", over=None)
        jobs.request_job(uow, "publish", "system", actor=who, slot=f"{number}")
        rows = (
            DispositionRow(
                id=uow.new_id(),
                township=township,
                reason="到期",
                items=0,
                state="proposed",
                proposed_by=by.id,
                proposed_at=uow.at,
            ),
            ReclassificationRow(
                id=uow.new_id(),
                recording_id=recording,
                taking=[],
                reason="规则已改",
                proposed_by=by.id,
                at=uow.at,
                before=uow.at,
            ),
        )
        uow.session.add_all(rows)
        kind = PremisType.METADATA_MODIFICATION
        uow.record("disposition.propose", kind, *rows, actor=who, subject="system")
        uow.session.add(
            HandedInRow(
                id=uow.new_id(),
                person_id=desk.persons["zhang"],
                file_name=f"{number}.mp4",
                size=1,
                offset=0,
                sha256="0" * 64,
                handle="",
                marks="",
                tail=0,
                created_at=since,
                touched_at=since,
            )
        )


@pytest.fixture(scope="module")
def clients(desk):
    found = {}
    app = create_app(desk.service)
    for name in ("zhang", "shen", "guan"):
        found[name] = TestClient(app, raise_server_exceptions=False)
        login = {"username": name, "password": PASSWORD}
        token = found[name].post("/api/v1/sessions", json=login).json()["token"]
        found[name].cookies.clear()
        found[name].headers["Authorization"] = f"Bearer {token}"
    return found


def _answers(app):
    """Yield every path of the document with what its good answer is."""
    for path, acts in app.openapi()["paths"].items():
        for act in acts.values():
            for status, answer in act["responses"].items():
                content = answer.get("content", {}).get("application/json", {})
                if status.startswith("2"):
                    yield path, act, content.get("schema", {})


def test_no_list_is_an_array_but_what_is_bounded_by_its_nature(desk):
    arrays = {
        path for path, _, schema in _answers(create_app(desk.service)) if "array" in str(schema)
    }
    assert arrays == set(BOUNDED)


def test_every_list_is_asked_for_and_answered_in_the_same_form(desk):
    app = create_app(desk.service)
    schemas = app.openapi()["components"]["schemas"]
    paged = set()
    for path, act, schema in _answers(app):
        fields = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        asked = {one["name"] for one in act.get("parameters", ())}
        assert ("cursor" in asked) == ("limit" in asked) == ("next" in fields), path
        if "cursor" in asked:
            assert {"items", "next"} <= set(fields), path
            paged.add(path)
    assert paged == set(LISTS)


# Who may see each list of the interface.
LISTS = {
    "/api/v1/recordings": "zhang",
    "/api/v1/recordings/{recording}/custody": "zhang",
    "/api/v1/officers": "zhang",
    "/api/v1/cases": "zhang",
    "/api/v1/cases/{case}/custody": "zhang",
    "/api/v1/actions/{action}/moments": "zhang",
    "/api/v1/proceedings": "shen",
    "/api/v1/duties": "zhang",
    "/api/v1/register/officers": "shen",
    "/api/v1/register/sources": "shen",
    "/api/v1/draws": "shen",
    "/api/v1/jobs": "guan",
    "/api/v1/jobs/workers": "guan",
    "/api/v1/reclassifications": "shen",
    "/api/v1/retention/due": "shen",
    "/api/v1/holds": "shen",
    "/api/v1/releases": "shen",
    "/api/v1/dispositions": "shen",
    "/api/v1/submissions": "zhang",
}


@pytest.mark.parametrize(("path", "who"), LISTS.items())
def test_pages_together_are_the_list(path, who, clients, filled):
    client, url = clients[who], path.format(**filled)
    at = {"at": "2030-01-01T00:00:00Z"} if path == "/api/v1/retention/due" else {}
    whole = client.get(url, params={"limit": 200, **at}).json()
    assert whole["next"] is None
    assert len(whole["items"]) >= (1 if "recording" in path or "due" in path else ROWS)
    for limit in (1, 2):
        found, cursor = [], None
        for _ in range(len(whole["items"]) + 1):
            asked = {"limit": limit, **at} | ({"cursor": cursor} if cursor else {})
            page = client.get(url, params=asked).json()
            assert len(page["items"]) <= limit
            found += page["items"]
            if (cursor := page["next"]) is None:
                break
        assert _stable(found) == _stable(whole["items"])


def _stable(items):
    """Leave out what differs from asking to asking: the time at which a worker was last seen."""
    return [{key: one[key] for key in one if key not in {"now", "alive"}} for one in items]


@pytest.mark.parametrize(("path", "who"), LISTS.items())
def test_a_mangled_cursor_is_refused_in_words(path, who, clients, filled):
    strange = write_cursor("another list", "a", "b")
    for cursor in ("x", "ÿ", "0", strange, strange[:-3], f"{strange}=", "A" * 1999):
        answer = clients[who].get(path.format(**filled), params={"cursor": cursor})
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "cursor"), cursor
        assert told["next"] == "请从第一页重新打开。"


def test_no_change_of_a_single_letter_is_taken_for_a_place(now):
    whole = write_cursor("cases", now, "0198-案")
    assert read_cursor("cases", whole, datetime, str) == (now, "0198-案")
    assert read_cursor("cases", None, datetime, str) == ()
    for place, letter in enumerate(whole):
        other = "A" if letter != "A" else "B"
        with pytest.raises(ApiError):
            read_cursor("cases", whole[:place] + other + whole[place + 1 :], datetime, str)


@pytest.mark.parametrize(
    "parts", [("a",), ("a", "b", "c"), (1, "b"), ("2026-01-01", "b"), ("2026-01-01T00:00", "b")]
)
def test_a_cursor_with_parts_of_another_kind_is_refused(parts):
    with pytest.raises(ApiError):
        read_cursor("cases", write_cursor("cases", *parts), datetime, str)


@pytest.mark.parametrize("number", [True, 1 << 70, -(1 << 70), 1.5])
def test_a_number_that_no_database_takes_is_refused(number):
    with pytest.raises(ApiError):
        read_cursor("custody", write_cursor("custody", number), int)


def test_the_console_goes_on_where_its_page_ended(desk, clients, filled):
    township, who = desk.office.settings.township, f"person:{desk.persons['zhang']}"
    with desk.office.catalogue.write() as uow:
        for number in range(60):
            cases.open_case(
                uow,
                number=f"多{number}",
                title="占道",
                party="孙某",
                township=township,
                stage=Stage.REGISTRATION,
                actor=who,
            )
    client, seen, url = clients["zhang"], [], "/cases?text=多"
    for _ in range(2):
        page = client.get(url).text
        seen += re.findall(r">(多\d+)<", page)
        link = re.search(r'href="(/cases[?][^"]+)">下一页 Next<', page)
        if link is None:
            break
        url = html.unescape(link[1])
    assert sorted(seen) == sorted(f"多{number}" for number in range(60))
    assert client.get("/cases?cursor=x").status_code == 422


def test_what_is_entered_while_somebody_turns_pages_moves_nothing(desk, clients, filled):
    township, who = desk.office.settings.township, f"person:{desk.persons['zhang']}"

    def enter(number):
        """Bring a case in front of the pages that were seen, and a person on either side."""
        with desk.office.catalogue.write() as uow:
            cases.open_case(
                uow, number=f"后{number}", title="占道", party="孙某", township=township, actor=who
            )
            for name in (f"A{number}", f"龥{number}"):
                people.add_person(
                    uow, name=name, kind="officer", unit="队", township=township, actor=who
                )

    for path in ("/api/v1/cases", "/api/v1/officers"):
        client = clients["zhang"]
        before = client.get(path, params={"limit": 200}).json()["items"]
        found, cursor = [], None
        for number in range(2 * len(before)):
            asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get(path, params=asked).json()
            found += [one["id"] for one in page["items"]]
            if (cursor := page["next"]) is None:
                break
            enter(f"{path[-8:]}{number}")
        assert len(found) == len(set(found))
        known = {one["id"] for one in before}
        assert [one for one in found if one in known] == [one["id"] for one in before]
