"""The station's worker: sweeps every bay, woken by events and by the clock, until it is stopped.

Each bay has a thread of its own, so that a slow recorder does not hold up its neighbour. Events
only make the next sweep come sooner; the periodic sweep finds everything anyway. Each room camera
has a thread of its own too: ffmpeg ends with the thread that started it. One more answers those
who ask the running station to take a folder that they name (`ingest/station/named_path.py`).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from ingest.bays.bay import Bay, FileReport, needs_person
from ingest.bays.watch import Watcher
from ingest.cameras.room_camera import Recorder
from ingest.station import named_path
from ingest.station.station import Station
from ingest.station.stopping import StoppingError
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.station")
_PUBLISH_S = 60.0


class BayNews:
    """News of the bays: files that newly need a person since the previous sweep."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[tuple[str, str | None]]] = {}

    def select_unreported(self, bay: Bay, file_results: list[FileReport]) -> list[FileReport]:
        """Return the results not yet reported; repeated ones are left out."""
        stuck = {
            (file_result.path, file_result.reason): file_result
            for file_result in file_results
            if needs_person(file_result)
        }
        earlier_keys = self._known.get(bay.name, frozenset())
        # Only what is stuck now is remembered: what was mended and comes back is news again.
        self._known[bay.name] = frozenset(stuck)
        return [file_result for name, file_result in stuck.items() if name not in earlier_keys]


class Worker:
    """Runs a station over its bays; `found` hears the results of every sweep that had any."""

    def __init__(
        self,
        station: Station,
        bays: list[Bay],
        sweep_s: float,
        on_results: Callable[[Bay, list[FileReport]], None] = lambda _bay, _file_results: None,
        recorders: Sequence[Recorder] = (),
    ) -> None:
        self._station = station
        self._sweep_s = sweep_s
        self._found = on_results
        self._stop = station.stopping
        self._wakes = {bay.name: threading.Event() for bay in bays}
        self._watcher = Watcher([bay.root for bay in bays], self.wake)
        self._threads = [
            threading.Thread(target=self._run, args=(bay,), name=f"bay-{bay.name}", daemon=True)
            for bay in bays
        ] + [
            threading.Thread(
                target=self._record_camera,
                args=(camera_recorder,),
                name=f"camera-{camera_recorder.camera.name}",
                daemon=True,
            )
            for camera_recorder in recorders
        ]
        self._threads.append(
            threading.Thread(
                target=self._answer_requests, name=f"bay-{named_path.BAY}", daemon=True
            )
        )

    def start(self) -> None:
        """Begin to watch and to sweep."""
        self._watcher.start()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Sweep soon: something changed."""
        for wake in self._wakes.values():
            wake.set()

    def request_stop(self) -> None:
        """Tell all threads to end at the next block of what they have in hand; do not wait."""
        self._stop.set()
        self.wake()

    def stop(self, timeout_s: float = 30) -> bool:
        """End amid the file in hand; what is unfinished is resumed by the next start.

        Returns whether all threads ended in time; those that did not may still use the station.
        """
        # First all are told, then waited for: they end beside each other, within the time of one.
        self.request_stop()
        self._watcher.stop()
        return join_threads(self._threads, timeout_s)

    def _run(self, bay: Bay) -> None:
        wake = self._wakes[bay.name]
        while not self._stop.is_set():
            # Before the sweep: what changes during it wakes the next one.
            wake.clear()
            self._watcher.watch_new_roots()
            try:
                file_results = self._station.sweep_bay(bay)
                if file_results:
                    self._found(bay, file_results)
            # Told to end amid a file: its state is in the journal, and the next start goes on.
            except StoppingError:
                return
            except Exception:
                # The edge of the station: one bay's defect must not stop the others. What a sweep
                # itself met, it has shown at the bay; this is what hearing of it brought about.
                LOG.exception("sweep of %s failed", bay.name)
            if wake.wait(self._sweep_s):
                # Events come in swarms while a recorder writes: let them settle.
                self._stop.wait(min(1.0, self._sweep_s))

    def _answer_requests(self) -> None:
        while not self._stop.is_set():
            try:
                named_path.answer_requests(self._station, self._station.journal)
            except StoppingError:
                return  # the request waits still; who is the station next answers it
            except Exception:
                # The edge of the station: whoever asked goes on waiting, and is answered later.
                LOG.exception("answering requests failed")
            self._stop.wait(min(1.0, self._sweep_s))

    def _record_camera(self, recorder: Recorder) -> None:
        while not self._stop.is_set():
            try:
                recorder.run(self._stop)
            except Exception:
                # The edge of the station: a camera's defect must not end its recording for good.
                LOG.exception("recording %s failed", recorder.camera.name)
                with suppress(LiuhenError):  # the journal is what fails: its reader tells
                    recorder.show_defect()
                self._stop.wait(self._sweep_s)


def join_threads(threads: Sequence[threading.Thread], timeout_s: float) -> bool:
    """Wait so long for threads that were told to end; tell whether all of them have."""
    until = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


class Standby:
    """Becomes the station of a home when there is work for one and nobody else is it.

    `take` gives the station's worker, or None where there is nothing to do or another process is
    the station. Whoever becomes it stays it until it ends: the lock goes with the process.
    """

    def __init__(self, take: Callable[[], Worker | None], every_s: float) -> None:
        self._take = take
        self._every_s = every_s
        self._stop = threading.Event()
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def request_stop(self) -> None:
        """Tell it to end, and what it had in hand; do not wait."""
        self._stop.set()
        if self._worker is not None:
            self._worker.request_stop()

    def stop(self, timeout_s: float = 30) -> bool:
        """End amid the file in hand; tell whether all threads ended in time."""
        self.request_stop()
        # The looking first: it might still be about to start a worker.
        ended = join_threads([self._thread], timeout_s)
        return (self._worker is None or self._worker.stop(timeout_s)) and ended

    def _run(self) -> None:
        while self._worker is None and not self._stop.is_set():
            try:
                self._worker = self._take()
                if self._worker is not None:
                    self._worker.start()
            except Exception:
                # The edge of the centre: what persons handed in stays where it is.
                LOG.exception("cannot be the station")
            self._stop.wait(self._every_s)


class Publisher:
    """Signs and publishes the log's head now and then, so that no entry stays unsigned for long.

    `tell` hears of each try: None when it was done, or the code of why not.
    """

    def __init__(
        self,
        publish: Callable[[], object],
        every_s: float = _PUBLISH_S,
        tell: Callable[[str | None], None] = lambda _code: None,
    ) -> None:
        self._publish = publish
        self._tell = tell
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def request_stop(self) -> None:
        """Tell it to publish once more and end; do not wait."""
        self._stop.set()

    def stop(self, timeout_s: float = 30) -> bool:
        """Publish once more and end; tell whether it ended in time."""
        self.request_stop()
        return join_threads([self._thread], timeout_s)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            # Once more after it is told to stop: what was written last is under a signed head too.
            stopping = self._stop.wait(self._every_s)
            try:
                self._publish()
                self._tell(None)
            # The next try may do; until then `/readyz` tells of it, and entries are written
            # unsigned.
            except Exception as error:
                LOG.exception("publishing the log's head failed")
                self._tell(error.code if isinstance(error, LiuhenError) else "defect")
