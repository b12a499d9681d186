"""An office at work on real files, for tests of the whole way: found, dock, sweep, link."""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.office.founding import found_office
from api.office.samples import sample_case
from api.office.samples.sample_volume import Recorder, Segment, write_segments
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.wiring import Office
from ingest.bays.bay import FileReport
from ingest.bays.settle import Patience
from ingest.centre import linking
from policies.access.access import Role
from policies.facts.stages import ActionKind, Stage
from storage.catalogue.cases import cases
from storage.catalogue.people import people
from tests.servers import database

PASSWORD = "long enough for a test"
SEIZED_AT = datetime(2026, 11, 20, 1, 0, 0, tzinfo=UTC)
FIRST = Recorder("0000012", "000123")
SECOND = Recorder("0000034", "000456")


def settings_for(folder: Path, **more: object) -> Settings:
    bays = {name: folder / name for name in ("bay-1", "bay-2")}
    for bay in bays.values():
        bay.mkdir(exist_ok=True)
    values = {
        "home": folder / "var",
        "county": "兴隆县",
        "township": "兴隆镇",
        "log_origin": "office.test/custody",
        "immutable": False,
        "quiet_s": 0,
        "bays": bays,
        "database_url": database.office_url(folder),
    } | more
    settings = Settings(**values)  # type: ignore[arg-type]
    database.migrated(settings.database)
    return settings


@dataclass
class Desk:
    """One office with its people; `sweep` docks what lies in the bays."""

    office: Office
    service: Service
    persons: dict[str, str] = field(default_factory=dict)

    @classmethod
    def set_up(cls, folder: Path, **more: object) -> "Desk":
        office = found_office(settings_for(folder, **more))
        desk = cls(office, Service.of_office(office))
        for name, role, certificate in (
            ("zhang", Role.OFFICER, FIRST.officer_no),
            ("li", Role.OFFICER, SECOND.officer_no),
            ("shen", Role.REVIEWER, None),
            ("wang", Role.OPERATOR, None),
            ("guan", Role.ADMIN, None),
        ):
            desk.persons[name] = desk.service.identity.create_person(
                username=name,
                password=PASSWORD,
                role=role,
                name=f"{name}某",
                township=office.settings.township,
                **({"certificate_no": certificate} if certificate else {}),
            )
        return desk

    def rest(self) -> "Template":
        """Close the office, to be copied as often as it is needed."""
        folder = self.office.settings.home.parent
        self.office.close()
        return Template(folder, self.persons)

    def bay(self, name: str) -> Path:
        return self.office.settings.bays[name]

    def sweep(self, looks: int = 2) -> list[FileReport]:
        station = self.office.build_station(patience=Patience(0, 1000))
        station.at_once = 1  # what tests look at by order; beside each other: test_side_by_side
        results: list[FileReport] = []
        for _ in range(looks):
            results = [r for bay in self.office.list_bays() for r in station.sweep_bay(bay)]
        return results

    def visitor(self, name: str):
        token, _until = self.service.identity.login(name, PASSWORD)
        return self.service.identity.authenticate_token(token)

    def seizure(
        self,
        seconds: float = 30.0,
        *,
        complete: bool = True,
        number: str = "兴乡执罚〔2026〕1号",
    ) -> tuple[str, str]:
        """Open a case with a seizure of so many seconds; return both ids.

        `complete` enters the moments and documents that the rules ask for besides footage.
        """
        actor = self.visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            case = cases.open_case(
                uow,
                number=number,
                title="未经批准占用土地",
                party="赵某",
                township=self.office.settings.township,
                actor=actor,
                stage=Stage.INVESTIGATION,
            )
            action = cases.add_action(
                uow,
                case_id=case.id,
                kind=ActionKind.SEIZURE,
                place="村东仓库",
                start_at=SEIZED_AT,
                end_at=SEIZED_AT + timedelta(seconds=seconds),
                officers=[self.persons["zhang"], self.persons["li"]],
                actor=actor,
            )
            if complete:
                sample_case.mark_moments(uow, action.id, actor=actor)
                sample_case.file_documents(uow, action.id, actor=actor)
        return case.id, action.id

    def link(self, action_id: str) -> list[str]:
        """Propose by officer and time and confirm all; return the recordings."""
        actor = self.visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            rows = cases.propose_exhibits(uow, action_id, actor=actor)
        for row in rows:
            linking.confirm_exhibit(self.office, row.id, actor=actor)
        return [row.recording_id for row in rows]

    def close(self, action_id: str):
        actor = self.visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            return cases.close_action(uow, action_id, self.office.rulebook, actor=actor)


@dataclass(frozen=True)
class Template:
    """An office at rest with all that it was given; nobody opens it, each test has a copy."""

    folder: Path
    persons: dict[str, str]

    def copy(self, folder: Path, **more: object) -> Desk:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        database.copied(self.folder, folder)
        office = Office.open(settings_for(folder, **more))
        return Desk(office, Service.of_office(office), dict(self.persons))


def segment(start_s: float, seconds: float, **more: bool) -> Segment:
    """A segment that starts so many seconds after the seizure began."""
    return Segment(SEIZED_AT + timedelta(seconds=start_s), seconds, **more)


def dock(desk: Desk, bay: str, recorder: Recorder, *segments: Segment) -> list[Path]:
    """Put a recorder's files into a bay, rendered before: a station never finds half of them."""
    root = desk.bay(bay)
    with tempfile.TemporaryDirectory(dir=root.parent) as made:
        rendered = write_segments(Path(made), recorder, segments)
        for path in sorted(one for one in Path(made).rglob("*") if one.is_file()):
            target = root / path.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        return [root / path.relative_to(made) for path in rendered]


__all__ = ["FIRST", "PASSWORD", "SECOND", "SEIZED_AT", "Desk", "dock", "people", "segment"]
