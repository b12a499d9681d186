"""A centre over real HTTPS, and stations that enrolled with it: for tests of the whole distance."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.app import create_app
from api.office import enrolment
from api.office.settings.settings import Settings
from api.station import process
from api.station.process import StationHome
from ingest.bays.bay import FileReport, Outcome
from ingest.bays.settle import Patience
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from tests.office import Desk
from tests.servers.tls import Authority, served


@dataclass
class County:
    """The centre of one county, and its CA; `serve` puts it on the wire."""

    folder: Path
    desk: Desk
    authority: Authority
    port: int = 0

    @classmethod
    def found(cls, folder: Path) -> "County":
        home = folder / "centre"
        home.mkdir(parents=True)
        return cls(folder, Desk.set_up(home), Authority.make(folder / "ca"))

    @contextmanager
    def serve(self, **certificate: object) -> Iterator[str]:
        """Serve the centre; gives its address. The port stays the same from call to call."""
        files = self.authority.issue("centre", **certificate)  # type: ignore[arg-type]
        with served(create_app(self.desk.service), *files, port=self.port) as port:
            self.port = port
            yield self.url

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def code(self, station: str) -> str:
        return str(
            enrolment.offer_enrolment(
                self.desk.office, station, name=station, township="青龙镇", actor="system"
            )
        )

    def rows(self) -> list[RecordingRow]:
        with self.desk.office.catalogue.read() as session:
            return list(recordings.iterate_recordings(session))

    def acts(self, act: str) -> int:
        from sqlalchemy import func, select

        from storage.catalogue.log.tables import CustodyEventRow

        with self.desk.office.catalogue.read() as session:
            wanted = select(func.count()).where(CustodyEventRow.act == act)
            return int(session.scalar(wanted) or 0)


@dataclass
class Township:
    """One station's home and bays, as its processes find them."""

    folder: Path
    name: str
    more: dict[str, object] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        bays = {bay: self.folder / bay for bay in ("bay-1", "bay-2")}
        for bay in bays.values():
            bay.mkdir(parents=True, exist_ok=True)
        values = {
            "home": self.folder / "var",
            "immutable": False,
            "quiet_s": 0,
            "bays": bays,
            "spool_reserve_gb": 0,
            "centre_timeout_s": 10,
        }
        return Settings(**values | self.more)  # type: ignore[arg-type]

    def enrol(self, county: County, url: str | None = None, code: str | None = None) -> None:
        process.enrol_station(
            self.settings,
            url or county.url,
            code or county.code(self.name),
            county.authority.certificate,
        )

    @contextmanager
    def open(self, **more: object) -> Iterator[StationHome]:
        home = StationHome.open(self.settings, patience=Patience(0, 1000), **more)  # type: ignore[arg-type]
        try:
            yield home
        finally:
            home.close()

    def bay(self, name: str) -> Path:
        return self.settings.bays[name]


def sweep(home: StationHome, looks: int = 2) -> list[FileReport]:
    """Look at all bays; return what became of the evidence. What is ignored is no evidence."""
    results: list[FileReport] = []
    for _ in range(looks):
        results = [result for bay in home.bays() for result in home.station.sweep_bay(bay)]
    return [result for result in results if result.outcome is not Outcome.IGNORED]
