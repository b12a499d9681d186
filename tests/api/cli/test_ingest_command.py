"""`liuhen ingest` in processes of its own: every failure is a line and a status, on full disks too."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from api.office.wiring import Office
from tests.command import FOUNDING, LIUHEN, environment, run, run_program
from tests.office import Desk, settings_for

MIB = 1 << 20
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="NOT ROOT: no file system can be mounted")


def outcomes(done):
    lines = [json.loads(line) for line in done.out.splitlines()]
    return {line["path"]: (line["outcome"], line["reason"]) for line in lines}


def fill(path):
    """Write until nothing more fits."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def card(tmp_path):
    card = tmp_path / "card"
    card.mkdir()
    for number in (2, 3, 4):
        name = f"0000012_000123_2026112109000{number}_000{number}.MP4"
        (card / name).write_bytes(os.urandom(2000))
    return card


@needs_root
def test_what_finds_no_room_is_a_line_and_status_one_and_what_fits_is_taken(tmp_path, card):
    big = card / "0000012_000123_20261121090000_0001.MP4"
    with big.open("wb") as file:
        file.truncate(200 * MIB)
    with small_disk(tmp_path / "disk", "60m"):
        home = tmp_path / "disk" / "h"
        assert run(home, "keys", "init", *FOUNDING).returncode == 0
        done = run(home, "ingest", card, "--json")
        assert done.returncode == 1
        found = outcomes(done)
        assert found.pop(big.name) == ("waiting", "storage-full")
        assert set(found.values()) == {("accessioned", None)}
        assert len(found) == 3
        told = run(home, "ingest", card)
        assert told.returncode == 1
        assert "磁盘空间不足" in told.out
        assert "disk is full" in told.out
        assert "201 MB" in told.out


@needs_root
def test_on_a_disk_without_any_room_every_file_is_a_line_and_status_one(tmp_path, card):
    with small_disk(tmp_path / "disk", "60m"):
        home = tmp_path / "disk" / "h"
        assert run(home, "keys", "init", *FOUNDING).returncode == 0
        fill(tmp_path / "disk" / "filler")
        done = run(home, "ingest", card, "--json")
        assert done.returncode == 1
        said = [json.loads(line) for line in done.out.splitlines()]
        full = {"storage-full", "catalogue-unavailable"}  # as far as SQLite can tell
        assert {one.get("reason") or one["code"] for one in said} <= full
        assert said
        (tmp_path / "disk" / "filler").unlink()
        assert run(home, "ingest", card).returncode == 0


def test_a_refused_log_is_a_line_and_status_one(tmp_path, card):
    """The signer has signed more than the catalogue holds: an old copy was put back."""
    home = tmp_path / "var"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    shutil.copy(home / "catalogue.db", tmp_path / "before.db")
    extra = tmp_path / "extra.txt"
    extra.write_text("signed since")
    assert run(home, "ingest", extra).returncode == 0
    for name in ("catalogue.db-wal", "catalogue.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "before.db", home / "catalogue.db")
    done = run(home, "ingest", card, "--json")
    assert done.returncode == 1
    assert done.out + done.err
    told = run(home, "ingest", card)
    assert told.returncode == 1
    assert told.out + told.err


@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_nothing_looked_at_is_not_done(tmp_path, what):
    home = tmp_path / "var"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    (tmp_path / "empty").mkdir()
    done = run(home, "ingest", tmp_path / what, "--json")
    assert done.returncode == 1
    assert [one[0] for one in outcomes(done).values()] == ["failed"]
    told = run(home, "ingest", tmp_path / what)
    assert told.returncode == 1
    assert "核对路径" in told.out
    assert "check the path" in told.out


def test_what_is_ignored_is_a_line_too(tmp_path, card):
    home = tmp_path / "var"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    (card / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    done = run(home, "ingest", card, "--json")
    assert done.returncode == 0
    assert outcomes(done)["Thumbs.db"] == ("ignored", "system-file")
    assert len(outcomes(done)) == 4


def test_a_running_office_takes_it_and_whoever_asked_is_told(tmp_path, card):
    home = tmp_path / "var"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    with subprocess.Popen(
        [LIUHEN, "serve", "--port", "0"],
        env=environment(home, LIUHEN_SWEEP_S="0.3", LIUHEN_CLEAR="at-once"),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    ) as served:
        assert served.stderr is not None
        assert b"console" in served.stderr.readline()
        threading.Thread(target=served.stderr.read, daemon=True).start()
        try:
            done = run_program(home, "ingest", card, "--json")
        finally:
            served.send_signal(signal.SIGINT)
            served.wait(60)
    assert done.returncode == 0
    assert "已交给它采集" in done.err
    assert set(outcomes(done).values()) == {("accessioned", None)}
    assert len(list(card.iterdir())) == 3


def test_a_station_that_ends_before_it_answered_is_stood_in_for(tmp_path, card):
    """Another process holds the station and never answers; when it is gone, we take it ourselves."""
    desk = Desk.set_up(tmp_path)
    desk.office.build_station()
    home = desk.office.settings.home
    watching = Office.open(settings_for(tmp_path))
    with ThreadPoolExecutor(1) as aside:
        asked = aside.submit(run, home, "ingest", card, "--json")
        deadline = time.monotonic() + 60
        while not watching.journal.list_requests():
            assert time.monotonic() < deadline
            assert not asked.done(), asked.result().err
        desk.office.close()
        done = asked.result()
    assert done.returncode == 0
    assert len(outcomes(done)) == 3
    assert watching.journal.list_requests() == []
    watching.close()
