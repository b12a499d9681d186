"""Whoever watches a bay sees a file come on through all that is done with it, and never go back."""

import struct
from itertools import pairwise

from ingest.bays.bay import BayState, FileProgress, Outcome, Progress
from ingest.station.named_path import take_path
from tests.office import Desk

LONG = 128 << 20


def sound(path) -> None:
    """Write a silent sound file of some twenty minutes, which a look listens to for seconds."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48000, 96000, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", LONG - 8, b"WAVE") + form
    with path.open("wb") as file:
        file.write(head + struct.pack("<4sI", b"data", LONG - 44))
        file.truncate(LONG)


def test_a_long_file_shows_how_far_it_is_while_it_is_looked_at_and_sealed(tmp_path):
    desk = Desk.set_up(tmp_path)
    card = tmp_path / "card"
    card.mkdir()
    sound(card / "long.wav")
    seen = []

    def listen(progress: Progress) -> None:
        seen.append((progress.state, progress.current, progress.bytes_done, progress.bytes_total))

    results = take_path(desk.office.build_station(listen), card)
    desk.office.close()
    assert {one.outcome for one in results} <= {Outcome.ACCESSIONED, Outcome.IGNORED}
    last = max(index for index, one in enumerate(seen) if one[0] is BayState.SEALING)
    first_look = seen[: last + 1]
    shares = [done / total for _state, current, done, total in first_look if current and total]
    assert all(before <= after for before, after in pairwise(shares))
    looking = {done for state, _current, done, _total in first_look if state is BayState.SCANNING}
    sealing = {done for state, _current, done, _total in first_look if state is BayState.SEALING}
    assert len(looking) > 3  # the inspection alone shows that it goes on
    assert len(sealing) > 3
    assert first_look[-1][2] == first_look[-1][3]


def test_phases_share_what_is_left_of_a_file_and_one_that_waits_is_taken_back():
    shown = []
    bay = Progress("bay-1", lambda progress: shown.append(progress.bytes_done), bytes_total=1000)
    bay.skip_bytes(100)  # another file, known before
    file = FileProgress(bay, 900)
    look = file.open_phase(0.5)
    assert 100 < bay.bytes_done < 110  # something is shown as soon as it begins
    look(1.0)
    seal = file.open_phase(0.9)
    look(0.3)  # who comes late takes nothing back
    seal(0.5)
    seal(1.0)
    assert 900 < bay.bytes_done < 1000
    file.finish()
    assert bay.bytes_done == 1000
    assert shown == sorted(shown)
    file.take_back()
    assert bay.bytes_done == 100
