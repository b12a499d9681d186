"""An office in a scratch folder, with one bay."""

from pathlib import Path

from api.office.founding import found_or_open
from api.office.settings.settings import Settings
from api.office.wiring import Office
from ingest.bays.bay import Outcome
from ingest.bays.settle import Patience
from ingest.station.clear import When
from ingest.station.station import Station

LOOKS = 3


def office_in(folder: Path) -> Office:
    """Open (or found) the scratch office; its bay is `folder/bay`.

    Whatever could lead out of the scratch folder or change the work is given here, so that a real
    office's settings in the environment (its database above all) do not reach the measurement.
    """
    bay = folder / "bay"
    bay.mkdir(parents=True, exist_ok=True)
    return found_or_open(
        Settings(
            home=folder / "var",
            county="兴隆县",
            township="兴隆镇",
            log_origin="bench.invalid/custody",
            database_url=None,
            rulebook=None,
            bays={"bay-1": bay},
            landing={},
            clear=When.NEVER,
            sm3=False,
            immutable=False,
            quiet_s=0,
        )
    )


def station_of(office: Office) -> Station:
    """Build a station that takes a file as soon as it was seen unchanged."""
    return office.build_station(patience=Patience(0, 1e9))


def take(office: Office, station: Station) -> None:
    """Sweep the bay until its one file is accessioned. Raises: RuntimeError when it is not."""
    (bay,) = office.list_bays()
    seen = []
    for _ in range(LOOKS):
        seen += station.sweep_bay(bay)
        if seen and seen[-1].outcome is Outcome.ACCESSIONED:
            return
    raise RuntimeError(seen or [(row.state, row.reason) for row in office.journal.list_bays()])
