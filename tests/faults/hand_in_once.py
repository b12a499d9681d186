"""Hand a file in and let the station take it, in a process of its own; kill it at a named step.

usage: python -m tests.faults.hand_in_once FOLDER [STEP [OCCURRENCE]]
`STEP` is a step of the reception, the station or the centre. FOLDER/file is handed in, by way of
what the service calls. Every step is written down in FOLDER/steps, on a line of its own.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from uuid import UUID

from api.office.wiring import Office
from ingest.bays.settle import Patience
from storage.catalogue.people import people
from storage.digest import Digest
from storage.recording import RecordingId
from tests.acting import acting
from tests.office import settings_for

NAME = "VID_20261120_090000.mp4"


def main(folder: Path, step: str = "", occurrence: int = 1) -> None:
    seen: Counter[str] = Counter()

    def on_step(name: str) -> None:
        seen[name] += 1
        with (folder / "steps").open("a") as steps:
            steps.write(f"{name}\n")
        if name == step and seen[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    office = Office.open(settings_for(folder, spool_reserve_gb=0), on_step)
    hand_in(office, (folder / "file").read_bytes())
    take_in(office)
    office.close()


def person_of(office: Office) -> str:
    with office.catalogue.read() as session:
        account = people.account_by_username(session, "zhang")
    assert account is not None
    return account.person_id


def hand_in(office: Office, data: bytes) -> None:
    """Do what a browser does, from wherever the last try came to."""
    person, reception = person_of(office), office.reception
    row = reception.begin_hand_in(
        acting(office.catalogue, person),
        NAME.encode(),
        len(data),
        Digest.compute(data),
        1_763_600_000_000,
    )
    name = RecordingId(UUID(row.id))
    while row.received_at is None:
        office.on_step("begun")
        writer = reception.uploads.open_writer(person, name, row.offset)
        writer.add_bytes(bytearray(data[row.offset : row.offset + len(data) // 2 + 1]))
        writer.close()
        office.on_step("sent")
        row = reception.receive_file(person, name)


def take_in(office: Office) -> None:
    station = office.build_station(patience=Patience(0, 1000))
    for _ in range(3):
        station.sweep_bay(office.handed_in)


if __name__ == "__main__":
    given = sys.argv[2:3] or [""]
    main(Path(sys.argv[1]), given[0], *map(int, sys.argv[3:4]))
