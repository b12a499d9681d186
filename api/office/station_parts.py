"""Builds a station's parts from the settings: bays, room cameras, its lock on the home."""

import fcntl
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from api.office.settings.settings import CAMERAS_BAY, RecordWhen, Settings
from api.office.system import entropy
from ingest.bays.bay import Bay
from ingest.cameras.room_camera import Camera, CameraState, Limits, Places, Recorder, landing_folder
from ingest.cameras.rtsp import Address
from ingest.media.sandbox import Sandbox
from ingest.station.journal import Journal
from storage.errors import LiuhenError


class StationBusyError(LiuhenError):
    """Another process is this home's station already."""

    code = "station-busy"
    retryable = True


def hold_station(home: Path, name: str) -> int:
    """Lock the home's station until the returned file handle is closed.

    Raises: StationBusyError.
    """
    handle = os.open(home / "station.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StationBusyError(station=name) from error
    return handle


def bays_of(settings: Settings) -> list[Bay]:
    """Return the bays and landing folders of the settings; recorded cameras land in one more."""
    quiet = settings.landing_quiet_s
    bays = [
        Bay(name, root, hub=settings.hubs.get(name)) for name, root in sorted(settings.bays.items())
    ] + [
        Bay(name, root, landing=True, quiet_s=quiet)
        for name, root in sorted(settings.landing.items())
    ]
    if settings.cameras:
        bays.append(Bay(CAMERAS_BAY, landing_folder(_cameras_home(settings)), landing=True))
    return bays


def cameras_of(settings: Settings) -> list[Camera]:
    """Return the room cameras of the settings, by name."""
    return [
        Camera(
            name,
            Address.parse(camera.url),
            camera.room,
            camera.user,
            camera.password_file,
            always=camera.when is RecordWhen.ALWAYS,
        )
        for name, camera in sorted(settings.cameras.items())
    ]


def camera_places(settings: Settings, name: str) -> Places:
    """Return a camera's folders."""
    return Places.for_camera(_cameras_home(settings), name)


def recorders_of(
    settings: Settings, sandbox: Sandbox, journal: Journal, now: Callable[[], datetime]
) -> list[Recorder]:
    """Return a recorder for each room camera; what each does is shown like a bay."""
    limits = Limits(
        segment_s=settings.camera_segment_s,
        most=settings.camera_most_mbit * 1e6 / 8,
        reserve=int(settings.camera_reserve_gb * (1 << 30)),
    )

    def make_reporter(camera: Camera) -> Callable[[CameraState, str | None], None]:
        def report_state(state: CameraState, reason: str | None) -> None:
            journal.show_bay(
                camera.name,
                state=state,
                source=camera.name,
                files_total=0,
                files_done=0,
                bytes_total=0,
                bytes_done=0,
                current=camera.room,
                reason=reason,
                facts={},
            )

        return report_state

    return [
        Recorder(
            camera,
            camera_places(settings, camera.name),
            sandbox,
            now,
            time.monotonic,
            entropy,
            limits,
            make_reporter(camera),
        )
        for camera in cameras_of(settings)
    ]


def _cameras_home(settings: Settings) -> Path:
    return settings.home / "cameras"
