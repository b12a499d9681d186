"""The worked examples of CONTRIBUTING.md, carried out: what it says one does is done here."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from jinja2 import ChoiceLoader, FileSystemLoader
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column

from api.app import create_app
from api.console import rendering
from api.http.security import ServiceHere, VisitorHere
from api.jobs import registry
from api.jobs.attempt import Runner
from api.jobs.kind import Kind, as_found
from ingest.bays.bay import Outcome as FileOutcome
from ingest.sources.profile_files import OWN, ProfileError
from policies.access.access import Act
from policies.facts.facts import ActionFacts
from policies.requirements.outcome import Outcome, Scope
from policies.rules import rulebook
from policies.rules.rulebook import SHIPPED, load_rulebook
from storage.catalogue.audit import audit
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine import table_version
from storage.catalogue.engine.columns import Audited, Base
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State
from storage.catalogue.log.discrepancy import DiscrepancyKind
from storage.catalogue.proofs import proven_rows
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import NAME
from storage.custody.entries.event import PremisType
from storage.custody.entries.subjects import CONTINUES
from storage.errors import CustodyError
from tests.office import FIRST, PASSWORD, Desk, dock, segment
from tests.policies.conftest import MOMENTS, at, clip
from tests.servers.database import Database

EDITION = """
edition: 示例县规定
area: 示例县
effective_from: 2026-01-01
documents: {示例县规定: 20}
rules:
  - id: ex-05-three-officers
    title: {zh: 查封不少于三人, en: Three officers at a seizure}
    basis: {document: 示例县规定, article: 第五条, quote: "查封应当由三名以上执法人员实施。"}
    when: {action: seizure}
    severity: blocks
    require: {REQUIREMENT}
"""


def edition(folder, requirement: str):
    """Lay a county's edition beside the national one, as an office does."""
    shutil.copy(SHIPPED / "national.yaml", folder)
    (folder / "example.yaml").write_text(EDITION.replace("{REQUIREMENT}", requirement))
    return load_rulebook(folder, "示例县")


def seizure(officers: int) -> ActionFacts:
    from policies.facts.facts import OfficerFact
    from policies.facts.stages import ActionKind, Stage

    return ActionFacts(
        action="a",
        case="c",
        kind=ActionKind.SEIZURE,
        stage=Stage.INVESTIGATION,
        start=at(0),
        end=at(100),
        township="示例镇",
        officers=tuple(OfficerFact(f"o{n}", certified=True) for n in range(officers)),
        footage=(clip(-5, 105),),
        nearby=(),
        moments=MOMENTS,
    )


def finding(rules, facts):
    (mine,) = [f for f in rules.judge_facts(facts).findings if f.rule == "ex-05-three-officers"]
    return mine


def test_add_a_rule(tmp_path):
    rules = edition(tmp_path, "{officers: {certified: 3}}")
    assert finding(rules, seizure(2)).blocks
    assert "第五条" in finding(rules, seizure(2)).message_zh
    assert not finding(rules, seizure(3)).blocks


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A requirement of a county that wants no tie: an odd number of officers."""

    scope: ClassVar[Scope] = Scope.ACTION
    least: int = 1

    def check_facts(self, facts: ActionFacts) -> Outcome:
        count = len(facts.officers)
        return Outcome(
            passed=count % 2 == 1 and count >= self.least,
            message_zh=f"执法人员 {count} 人",
            message_en=f"{count} officers",
        )


def test_add_a_requirement(tmp_path, monkeypatch):
    monkeypatch.setitem(rulebook.REQUIREMENTS, "odd_number", OddNumber)
    rules = edition(tmp_path, "{odd_number: {least: 3}}")
    assert finding(rules, seizure(4)).blocks
    assert not finding(rules, seizure(5)).blocks


def test_add_a_job(tmp_path, monkeypatch):
    """A kind whose work is one step, remembered if its worker dies, and whose outcome is kept."""
    kind = Kind(
        name="count-entries",
        zh="示例",
        work=lambda _office, _job, step: step("count", lambda: {"count": 1}),
        settle=as_found,
        askable=True,
    )
    monkeypatch.setitem(registry.KINDS, kind.name, kind)
    desk = Desk.set_up(tmp_path)
    try:
        runner = Runner(desk.office)
        with desk.office.catalogue.write() as uow:
            runner.life = jobs.register_worker(uow, "worker-1", over=None)
            job = jobs.request_job(uow, kind.name, "system", actor="system").id
        assert runner.run_next(kind.queue) == "done"
        with desk.office.catalogue.read() as session:
            assert jobs.by_id(session, job).state == State.DONE
            assert jobs.by_id(session, job).result == {"count": 1}
    finally:
        desk.office.close()


DOCS = Path(__file__).parents[2] / "docs"
CARD = (
    "DCIM/EX9-0000077-P000123-2026-11-20_09-00-00-0001-SOS.MP4",
    "DCIM/EX9-0000077-P000123-2026-11-20_09-00-00-0001-SOS.log",
)


def lay_out_card(desk: Desk) -> None:
    """Put a film and the log beside it on a card, called as the recorder of the example does."""
    *_, film = dock(desk, "bay-1", FIRST, segment(0, 1))
    for path in desk.bay("bay-1").rglob("*"):
        if path.is_file() and path != film:
            path.unlink()
    root = desk.bay("bay-1")
    film.rename(root / "film")
    for folder in sorted(root.rglob("*"), reverse=True):
        if folder.is_dir():
            folder.rmdir()
    (root / "DCIM").mkdir()
    (root / "film").rename(root / CARD[0])
    (root / CARD[1]).write_text("power on\n")


def test_add_a_recorder_profile(tmp_path):
    """A profile in the office's home: its recorder's files are found, and named by it."""
    desk = Desk.set_up(tmp_path)
    try:
        page = (DOCS / "RECORDERS.md").read_text(encoding="utf-8")
        own = desk.office.settings.home / OWN
        own.mkdir()
        (own / "ex9.yaml").write_text(page.split("```yaml\n")[1].partition("```")[0])
        lay_out_card(desk)
        reports = desk.sweep()
        assert [report.outcome for report in reports] == [FileOutcome.ACCESSIONED] * 2
        with desk.office.catalogue.read() as session:
            rows = {row.name: row for row in recordings.sample_recordings(session)}
        film = rows[CARD[0].removeprefix("DCIM/")]
        assert (film.profile, film.source_kind) == ("example-ex9", "recorder")
        assert (film.source_serial, film.officer_no, film.sequence) == ("0000077", "000123", "1")
        assert film.file_start == datetime(2026, 11, 20, 1, tzinfo=UTC)
        assert film.officer_id == desk.persons["zhang"]
        assert film.marked
    finally:
        desk.office.close()


def test_a_bad_recorder_profile_starts_no_station_and_changes_nothing(tmp_path):
    desk = Desk.set_up(tmp_path)
    try:
        own = desk.office.settings.home / OWN
        own.mkdir()
        (own / "ex9.yaml").write_text("family: ex9\n")
        lay_out_card(desk)
        for _ in range(2):
            with pytest.raises(ProfileError):
                desk.sweep()
        (own / "ex9.yaml").unlink()
        assert [report.outcome for report in desk.sweep()] == [FileOutcome.ACCESSIONED] * 2
    finally:
        desk.office.close()


PAGE = """{% extends "base.html" %}
{% block title %}执法车辆{% endblock %}
{% block section %}/vehicles{% endblock %}
{% block body %}
<h1>执法车辆</h1>
<table><tbody>{% for plate in plates %}<tr><td>{{ plate }}</td></tr>{% endfor %}</tbody></table>
{% endblock %}
"""


def test_add_a_page(tmp_path, monkeypatch):
    """A page: authorised and read as the API does it, rendered, escaped, in the navigation."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @router.get("/vehicles")
    def vehicles_page(service: ServiceHere, visitor: VisitorHere) -> Response:
        service.authorise(visitor, Act.SEE_STATIONS)
        return rendering.render("vehicles.html", visitor, plates=["冀H·<b>1"])

    (tmp_path / "vehicles.html").write_text(PAGE, encoding="utf-8")
    templates = rendering._TEMPLATES
    both = ChoiceLoader([FileSystemLoader(tmp_path), templates.loader])
    monkeypatch.setattr(templates, "loader", both)
    line = ("/vehicles", "执法车辆", Act.SEE_STATIONS)
    monkeypatch.setattr(rendering, "_NAVIGATION", (*rendering._NAVIGATION, line))
    desk = Desk.set_up(tmp_path)
    try:
        app = create_app(desk.service)
        app.include_router(router)
        client = TestClient(app, raise_server_exceptions=False)
        asked = {"Accept": "text/html"}
        turned_away = client.get("/vehicles", headers=asked, follow_redirects=False)
        assert turned_away.headers["location"].startswith("/login")
        token, _until = desk.service.identity.login("guan", PASSWORD)
        shown = client.get("/vehicles", headers=asked | {"Authorization": f"Bearer {token}"})
        assert shown.status_code == 200
        assert "冀H·&lt;b&gt;1" in shown.text
        assert 'href="/vehicles"' in shown.text
        token, _until = desk.service.identity.login("zhang", PASSWORD)
        refused = client.get("/vehicles", headers=asked | {"Authorization": f"Bearer {token}"})
        assert refused.status_code == 403
        assert "执法车辆" not in refused.text
    finally:
        desk.office.close()


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table(
        "vehicle",
        sa.Column("plate", sa.String(200), nullable=False),
        sa.Column("station_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name="fk_vehicle_station_id_station"),
        sa.PrimaryKeyConstraint("plate", name="pk_vehicle"),
    )
    op.create_index("ix_vehicle_station_id", "vehicle", ["station_id"])
"""


@pytest.fixture
def vehicle_row(monkeypatch):
    """A table of rows that stand in the log, for one test; afterwards the catalogue has none."""

    class VehicleRow(Audited, Base):
        __tablename__ = "vehicle"

        plate: Mapped[str] = mapped_column(NAME, primary_key=True)
        station_id: Mapped[str] = mapped_column(ForeignKey("station.id"), index=True)

    monkeypatch.setattr(audit, "AUDITED", (*AUDITED, VehicleRow))
    monkeypatch.setattr(proven_rows, "AUDITED", (*AUDITED, VehicleRow))
    # Whose chain a change of a row continues; a verifier asks the same table.
    monkeypatch.setitem(CONTINUES, "vehicle", {"station_id": "station"})
    yield VehicleRow
    Base.metadata.remove(VehicleRow.__table__)


def test_add_a_table(tmp_path, monkeypatch, vehicle_row):
    """A table and its migration: an office of before is brought up to date, and rows are logged."""
    desk = Desk.set_up(tmp_path)
    try:
        catalogue, station = desk.office.catalogue, desk.office.settings.station
        scripts = tmp_path / "migrations"
        shutil.copytree(table_version._FOLDER, scripts)
        before = table_version.known_versions()[-1]
        number = f"{int(before) + 1:04}"
        migration = MIGRATION.format(number=number, before=before)
        (scripts / "versions" / f"{number}_vehicles.py").write_text(migration)
        monkeypatch.setattr(table_version, "_FOLDER", scripts)
        catalogue.migrate_tables()
        with catalogue.read() as session:
            connection = session.connection()
            assert table_version.find_version(connection) == number
            # The class and what the migration made are the same table.
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        with pytest.raises(CustodyError), catalogue.write() as uow:  # no row without its entry
            uow.session.add(vehicle_row(plate="冀H·00001", station_id=station))
        with catalogue.write() as uow:
            row = vehicle_row(plate="冀H·00002", station_id=station)
            uow.session.add(row)
            uow.record(
                "add-vehicle",
                PremisType.METADATA_MODIFICATION,
                row,
                actor="system",
                subject=f"station:{station}",
            )
        with catalogue.read() as session:
            assert [row.plate for row in session.scalars(select(vehicle_row))] == ["冀H·00002"]
            assert list(audit._check_rows(session)) == []
        # Behind everybody's back: the log tells what the row was.
        sql = "UPDATE vehicle SET plate = ?"
        assert Database(str(desk.office.settings.database)).execute(sql, "冀H·99999") == 1
        with catalogue.read() as session:
            kinds = {difference.kind for difference in audit._check_rows(session)}
            assert kinds == {DiscrepancyKind.UNLOGGED_ROW, DiscrepancyKind.MISSING_ROW}
    finally:
        desk.office.close()
