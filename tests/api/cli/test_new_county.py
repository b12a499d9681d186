"""A county that nobody wrote rules for: it starts, is judged by national law, and is told so."""

import json

import pytest

from api.app import create_app
from api.http.case_file.findings import present_explanation
from storage.catalogue.cases import cases
from tests.command import run
from tests.office import FIRST, SECOND, Desk, dock, segment
from tests.office import PASSWORD as SECRET

QINGLONG = "青龙满族自治县"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "var"


def test_an_office_of_a_county_without_an_edition_judges_a_case_by_national_rules(tmp_path):
    from fastapi.testclient import TestClient

    desk = Desk.set_up(tmp_path, county=QINGLONG, township="青龙镇")
    dock(desk, "bay-1", FIRST, segment(-5, 15))
    dock(desk, "bay-2", SECOND, segment(8, 30))
    desk.sweep()
    case, action = desk.seizure(complete=False)
    desk.link(action)
    refused = desk.close(action)
    assert not refused.allowed
    assert {one.version for one in refused.findings} == {"国家法律及参照规定"}
    assert {one.rule for one in refused.findings if one.blocks} >= {"qz-24-inventory"}
    actor = f"person:{desk.persons['zhang']}"
    from api.office.samples import sample_case

    with desk.office.catalogue.write() as uow:
        sample_case.mark_moments(uow, action, actor=actor)
        sample_case.file_documents(uow, action, actor=actor)
    assert desk.close(action).allowed
    with desk.office.catalogue.read() as session:
        row = cases.get_case(session, case)
        told = present_explanation(session, row, desk.office.rulebook, desk.office.clock())
    assert any("只适用国家规则" in line and QINGLONG in line for line in told.zh)
    assert any("Only national rules apply" in line for line in told.en)
    browser = TestClient(create_app(desk.service))
    login = {"username": "zhang", "password": SECRET}
    browser.post("/login", data=login, headers={"Sec-Fetch-Site": "same-origin"})
    for page in ("/cases", f"/cases/{case}"):
        assert "只适用国家规则" in browser.get(page).text, page
    desk.office.close()


def test_a_new_edition_holds_beside_the_national_one(home):
    county = {"LIUHEN_COUNTY": QINGLONG}
    before = run(home, "rules", "check", **county)
    assert "只适用国家规则" in before.out
    assert f"liuhen rules new {QINGLONG}" in before.out
    told = run(home, "doctor", "--json", **county)
    rulebook = {one["name"]: one for one in json.loads(told.out)}["rulebook"]
    assert not rulebook["good"]
    assert "只适用国家规则" in rulebook["zh"]
    done = run(home, "rules", "new", QINGLONG, **county)
    assert done.returncode == 0, done.err
    folder = home / "rulebook"
    assert {path.name for path in folder.iterdir()} == {f"{QINGLONG}.yaml", "national.yaml"}
    assert f'rulebook = "{folder}"' in done.out
    used = county | {"LIUHEN_RULEBOOK": str(folder)}
    after = json.loads(run(home, "rules", "check", "--json", **used).out)
    national = json.loads(run(home, "rules", "check", "--json", **county).out)
    assert after == national | {"rules": national["rules"] + 1, "national_only": False}
    again = run(home, "rules", "new", QINGLONG, **county)
    assert again.returncode == 1
    assert "error (edition-exists)" in again.err


def test_a_template_in_a_file_of_its_own_is_valid_and_never_overwrites(home, tmp_path):
    file = tmp_path / "mine.yaml"
    done = run(home, "rules", "new", QINGLONG, "--out", file)
    assert done.returncode == 0, done.err
    assert "national.yaml" in done.out  # to be copied
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    assert run(home, "rules", "check", file).returncode == 0
    file.write_text("mine")
    assert run(home, "rules", "new", QINGLONG, "--out", file).returncode == 1
    assert file.read_text() == "mine"


def test_a_folder_without_the_national_edition_is_refused_with_what_to_do(home, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    assert run(home, "rules", "new", QINGLONG, "--out", folder / "mine.yaml").returncode == 0
    checked = run(home, "rules", "check", folder)
    assert checked.returncode == 1
    assert "error (rulebook-retention)" in checked.err
    assert "规定一般音像资料保管多久" in checked.err
    assert "national.yaml" in checked.err
    county = {"LIUHEN_COUNTY": QINGLONG, "LIUHEN_RULEBOOK": str(folder)}
    told = run(home, "doctor", "--json", **county)
    rulebook = {one["name"]: one for one in json.loads(told.out)}["rulebook"]
    assert not rulebook["good"]
    assert "national.yaml" in rulebook["zh"]


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "all", "national", "a\nb"])
def test_a_hostile_name_writes_nothing(home, name):
    done = run(home, "rules", "new", name)
    assert done.returncode == 1
    assert "error (area-name)" in done.err
    assert not home.exists()
    assert list(home.parent.iterdir()) == []
