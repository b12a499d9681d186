"""An office in a scratch folder, with one bay."""

from pathlib import Path

from api.settings import Settings
from api.wiring import Office, open_or_found
from ingest.settle import Patience
from ingest.station import Station


def office_in(folder: Path) -> Office:
    """Open (or found) the scratch office; its bay is `folder/bay`."""
    bay = folder / "bay"
    bay.mkdir(parents=True, exist_ok=True)
    return open_or_found(
        Settings(home=folder / "var", immutable=False, quiet_s=0, bays={"bay-1": bay})
    )


def station_of(office: Office) -> Station:
    """Build a station that takes a file at its second look."""
    return office.station(patience=Patience(0, 1e9))
