"""`liuhen retention …` and certificates over HTTP, on an office that has destroyed something."""

import hashlib
import json
import subprocess
from datetime import timedelta
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli.main import app
from policies.access.access import Role
from policies.facts.terms import FootageClass, HoldReason
from policies.time.wording import COUNTY_TIME
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.retention import classification
from storage.signed.signing import verify_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN
from tests import clocks
from tests.keeping import ORDINARY, TOWNSHIP, WHO, Archive
from tests.office import PASSWORD, Desk


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """An office with four recordings: destroyed, ordinary, held, and classed for ever."""
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    desk.service.identity.create_person(
        username="qian", password=PASSWORD, role=Role.HEAD, name="钱某", township=TOWNSHIP
    )
    office = desk.office
    url = office.settings.database
    archive = Archive(url, office.objects, office.clock()).found()
    archive.key = office.ring.get_signing_key("centre")
    gone, ordinary, held, major = (archive.keep(bytes([number])) for number in range(4))
    with archive.catalogue.write() as uow:
        why = HoldReason.INVESTIGATION
        held_by = NewHold(reason=why, authority="county", recording_id=held)
        hold = holds.place_hold(uow, held_by, actor=WHO).id
        classification.assign_class(
            uow,
            office.rulebook,
            major,
            FootageClass.INCIDENT,
            "群体性事件",
            person_id=archive.persons["张三"],
            actor=WHO,
        )
    accessioned = archive.at
    archive.at += ORDINARY
    waiting = archive.propose(ordinary)
    disposition = archive.decided(gone)
    assert archive.execute(disposition) == {"gone": 1}
    clocks.accept(office.catalogue)
    yield SimpleNamespace(**locals())
    archive.close()
    office.close()


@pytest.fixture
def liuhen(kept, monkeypatch):
    """Run one command on that office, its own settings in the environment."""
    settings = kept.office.settings
    monkeypatch.setenv("LIUHEN_HOME", str(settings.home))
    monkeypatch.setenv("LIUHEN_IMMUTABLE", "false")
    if settings.database_url is not None:
        monkeypatch.setenv("LIUHEN_DATABASE_URL", settings.database_url)

    def run(*words, status=0):
        done = CliRunner().invoke(app, ["retention", *map(str, words)])
        assert done.exit_code == status, (done.output, done.exception)
        return done.stdout

    return run


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def day(kept, days):
    """Return the county's day so many days after accession, as a command takes it."""
    return (kept.accessioned.astimezone(COUNTY_TIME) + timedelta(days=days)).strftime("%Y-%m-%d")


def test_each_reason_that_keeps_a_recording_is_told_in_both_languages(kept, liuhen):
    told = liuhen("explain", kept.held)
    assert told.index("冻结") < told.index("held (")
    assert "keep-ordinary" in told
    assert "存储保管锁" in told
    assert "须继续保管 must be kept" in told


def test_what_keeps_it_on_another_day(kept, liuhen):
    (today,) = lines(liuhen("explain", kept.ordinary, "--json"))
    assert today["kept"]
    assert {one["keeper"] for one in today["reasons"]} == {"rule", "promise", "lock"}
    (eve,) = lines(liuhen("explain", kept.ordinary, "--json", "--at", day(kept, 183)))
    assert eve["kept"]
    (then,) = lines(liuhen("explain", kept.ordinary, "--json", "--at", day(kept, 184)))
    assert not then["kept"]
    assert not any(one["keeps"] for one in then["reasons"])
    (never,) = lines(liuhen("explain", kept.major, "--json", "--at", "9999-12-31"))
    assert never["kept"]


def test_what_would_be_destroyed_on_a_day_and_why(kept, liuhen):
    assert lines(liuhen("due", "--json")) == []
    assert lines(liuhen("due", "--json", "--at", day(kept, 183))) == []
    found = lines(liuhen("due", "--json", "--at", day(kept, 184)))
    assert {one["recording"]: one["kept"] for one in found} == {
        kept.ordinary: False, kept.held: True
    }  # fmt: skip
    held = next(one for one in found if one["recording"] == kept.held)
    assert [one["keeper"] for one in held["reasons"] if one["keeps"]] == ["hold"]
    told = liuhen("due", "--at", day(kept, 184), "--township", TOWNSHIP)
    assert "可以提请销毁 1 份(1 字节),期满仍须保管 1 份" in told
    assert kept.gone not in told
    assert kept.major not in told
    assert lines(liuhen("due", "--json", "--at", "9999-12-31", "--township", "别处")) == []


def test_what_is_kept_longer_than_the_rules_ask_is_listed(kept, liuhen):
    assert lines(liuhen("review", "--json")) == []
    with kept.archive.catalogue.write() as uow:
        row = next(one for one in classification.list_assigned_classes(uow.session, kept.major))
        row.taken_at = uow.at  # as if the rule had gone: what was promised stays
        uow.record(
            "class.take", classification._KIND, row, actor=WHO, subject=f"recording:{kept.major}"
        )
    clocks.accept(kept.office.catalogue)
    (one,) = lines(liuhen("review", "--json"))
    assert one["recording"] == kept.major
    assert one["promised"].startswith("9999-12-31")
    assert "永久保存" in liuhen("review")


def test_a_destroyed_recording_is_told_as_destroyed(kept, liuhen):
    done = CliRunner().invoke(app, ["retention", "explain", kept.gone])
    assert done.exception.code == "destroyed"


def test_the_holds_that_stand_are_listed(kept, liuhen):
    done = CliRunner().invoke(app, ["hold", "list", "--json"])
    (one,) = lines(done.stdout)
    assert (one["hold"], one["on"], one["reaches"]) == (kept.hold, f"recording:{kept.held}", 1)
    assert "县司法行政部门" in CliRunner().invoke(app, ["hold", "list"]).stdout


def test_a_certificate_is_written_once_with_what_was_signed(kept, liuhen, tmp_path):
    out, document = tmp_path / "证明.pdf", tmp_path / "signed.json"
    told = liuhen("certificate", kept.disposition, "--out", out, "--signed", document)
    data = document.read_bytes()
    key = kept.office.ring.get_verify_key("centre")
    body = verify_document(data, CERTIFICATE_DOMAIN, [key])
    assert hashlib.sha256(data).hexdigest() in told
    text = subprocess.run(
        ["pdftotext", "-layout", out, "-"], check=True, capture_output=True
    ).stdout.decode()
    for leaf in (body["destroyed"][0]["sha256"], kept.gone, "张三", "李四", TOWNSHIP, key.kid):
        assert leaf in text
    before = out.read_bytes()
    liuhen("certificate", kept.disposition, "--out", out, status=2)
    assert out.read_bytes() == before


def test_a_disposition_without_a_certificate_says_so(kept, liuhen, tmp_path):
    words = ["retention", "certificate", kept.waiting, "--out", str(tmp_path / "x.pdf")]
    assert CliRunner().invoke(app, words).exception.code == "no-certificate"
    assert not (tmp_path / "x.pdf").exists()


@pytest.fixture(scope="module")
def clients(kept):
    found = SimpleNamespace()
    served = create_app(kept.desk.service)
    for name in ("shen", "qian", "zhang", "wang", "guan"):
        client = TestClient(served, raise_server_exceptions=False)
        login = {"username": name, "password": PASSWORD}
        token = client.post("/api/v1/sessions", json=login).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        setattr(found, name, client)
    return found


def url(disposition):
    return f"/api/v1/dispositions/{disposition}/certificate.pdf"


@pytest.mark.parametrize("who", ["shen", "qian"])
def test_the_county_and_the_township_read_the_certificate(kept, clients, who):
    pdf = getattr(clients, who).get(url(kept.disposition))
    assert pdf.status_code == 200, pdf.text
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.content == clients.shen.get(url(kept.disposition)).content
    document = clients.shen.get(url(kept.disposition).removesuffix(".pdf")).content
    verify_document(document, CERTIFICATE_DOMAIN, [kept.office.ring.get_verify_key("centre")])


def test_another_township_and_who_runs_the_system_cannot_read_it(kept, clients):
    for who in (clients.zhang, clients.wang, clients.guan):
        answer = who.get(url(kept.disposition))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_one_that_is_not_done_or_not_there_has_none(kept, clients):
    answer = clients.shen.get(url(kept.waiting))
    assert (answer.status_code, answer.json()["code"]) == (404, "no-certificate")
    missing = "019c0000-0000-7000-8000-000000000000"
    assert clients.shen.get(url(missing)).json()["code"] == "not-found"


def test_a_certificate_that_was_changed_in_the_catalogue_is_not_printed(kept, clients, monkeypatch):
    from api.http.dispositions import certificate_routes

    real = certificate_routes.read_signed_certificate
    monkeypatch.setattr(
        certificate_routes,
        "read_signed_certificate",
        lambda *told: real(*told).replace("张三".encode(), "张四".encode()),
    )
    answer = clients.shen.get(url(kept.disposition))
    assert answer.status_code >= 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "signature"
