"""Tell by exit status whether a worker goes on: 0 when it has beaten lately.

usage: beats.py NAME
"""

import sys
from datetime import timedelta

from api.office.settings.settings import Settings
from api.office.wiring import Office
from storage.catalogue.jobs import jobs


def main(name: str) -> int:
    """Ask the catalogue, as the other workers do before they take over a dead one's jobs."""
    settings = Settings()
    office = Office.open(settings)
    try:
        with office.catalogue.read() as session:
            lately = office.clock() - timedelta(seconds=settings.worker_silent_s)
            alive = any(
                row.name == name and row.ended_at is None and row.beat_at > lately
                for row in jobs.list_workers(session)
            )
    finally:
        office.close()
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
