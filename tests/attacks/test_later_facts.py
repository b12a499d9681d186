"""What comes to light after a closing changes nothing of its verdict: it stands beside, dated."""

import json
import re

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.office.evidence.export import export_bundle
from policies.rules.rulebook import SHIPPED, load_rulebook
from storage.bundle.verify import verify
from storage.catalogue.cases import cases
from storage.catalogue.cases.judgements import judgement_of
from storage.catalogue.log.tables import CustodyEventRow
from storage.signed import canonical
from tests.attacks.attack import Means
from tests.attacks.later_attacks import ATTACKS
from tests.office import FIRST, SECOND, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def closed(desk):
    """A seizure whose closing found nothing against it; case and action."""
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    assert desk.close(action).allowed
    return case, action


@pytest.fixture(scope="module")
def zhang(desk):
    token, _until = desk.service.identity.login("zhang", "long enough for a test")
    return TestClient(create_app(desk.service), headers={"Authorization": f"Bearer {token}"})


def shown(zhang, action):
    return zhang.get(f"/api/v1/actions/{action}").json()


STANDS = ("verdict", "judged_at", "rulebook", "coverage")


def stays(attacks, desk, zhang, action):
    """Carry these out, one upon the other; return what is shown then."""
    before = shown(zhang, action)
    for attack in attacks:
        attack.do(desk)
        after = shown(zhang, action)
        assert [after[name] for name in STANDS] == [before[name] for name in STANDS], attack.name
    return after


def test_nothing_that_comes_later_changes_a_closing_and_it_stands_apart(desk, closed, zhang):
    case, action = closed
    control = shown(zhang, action)
    assert control["verdict"]["allowed"]
    assert control["later"] is None
    after = stays([one for one in ATTACKS if one.means is not Means.SQL], desk, zhang, action)
    assert any(not one["passed"] for one in after["later"]["findings"])
    assert after["later"]["at"] > after["judged_at"]

    for path in (f"/actions/{action}", f"/cases/{case}"):
        page = zhang.get(path, headers={"accept": "text/html"}).text
        at_the_closing, _, since = page.partition('<div class="later">')
        assert "后来发现" in since
        assert "办结时(" in at_the_closing
        assert re.findall(r'<li class="bad">', page) == []


def test_the_printed_list_has_the_verdict_and_apart_from_it_what_was_found_later(
    desk, closed, zhang, tmp_path
):
    """Whoever verifies the bundle derives both, each from its own facts."""
    case, action = closed
    desk.office.rulebook = load_rulebook(SHIPPED, desk.office.settings.county)
    export_bundle(desk.service, desk.visitor("zhang"), case, tmp_path / "bag")
    report = verify(tmp_path / "bag", desk.office.settings.keys)
    assert report.passed, report.format_lines()
    page = (tmp_path / "bag/data/evidence-list.html").read_text(encoding="utf-8")
    at_the_closing, _, since = page.partition("后来发现")
    later = shown(zhang, action)["later"]["findings"]
    for finding in later:
        assert finding["message_zh"] in since
        assert finding["message_zh"] not in at_the_closing
    assert later
    assert "不改变上面的结论" in since


def test_no_row_that_is_edited_later_changes_a_closing(desk, closed, zhang):
    _case, action = closed
    stays([one for one in ATTACKS if one.means is Means.SQL], desk, zhang, action)


def test_a_closing_of_an_earlier_version_shows_the_verdict_it_kept(desk, closed, zhang):
    """It kept no facts and no digest of the rulebook; its findings said less, too."""
    _case, action = closed
    with desk.office.catalogue.read() as session:
        row = cases.get_action(session, action)
        told = judgement_of(session, row, desk.office.rulebook, desk.office.clock())
    findings = [
        {k: v for k, v in one.items() if not k.startswith(("waiv", "pending"))}
        for one in json.loads(canonical.encode(told.verdict["findings"]))
    ]
    with desk.office.catalogue._writer.begin() as connection:
        entry = CustodyEventRow.__table__
        of_closing = (entry.c.act == "action.close") & (entry.c.outcome == "success")
        details = {"verdict": {"allowed": True, "findings": findings}, "exhibits": []}
        connection.execute(entry.update().where(of_closing).values(details=details))
    after = shown(zhang, action)
    assert after["verdict"]["allowed"]
    assert (after["rulebook"], len(after["verdict"]["findings"])) == (None, len(findings))
    assert zhang.get(f"/actions/{action}", headers={"accept": "text/html"}).status_code == 200
