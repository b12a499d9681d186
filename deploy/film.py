"""Film a recorder's morning onto a folder, for the simulated station: three short segments.

usage: film.py FOLDER. The files are named, laid out and dated as recorders do it.
"""

import sys
from datetime import timedelta
from pathlib import Path

from api.office.samples.sample_volume import Recorder, Segment, write_segments
from api.office.system import clock

_PAUSE = timedelta(minutes=10)


def main(folder: Path) -> None:
    """Write the segments; the folder may be empty or new."""
    first = clock().replace(microsecond=0) - timedelta(hours=1)
    starts = (first + number * _PAUSE for number in range(3))
    recorder = Recorder(serial="SIM0001", officer_no="000001")
    write_segments(folder, recorder, [Segment(start, 5.0) for start in starts])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
