"""Founding asks for county, township and log origin; where nobody answers, nothing is made."""

import json
import os
import pty
import subprocess

import pytest

from api.office.founding import found_office
from api.office.settings.office_record import RECORD
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from storage.custody.origin import SHARED_ORIGIN, is_new_origin, propose_origin
from storage.errors import FoundingUnaskedError, KeyRingError
from storage.vault import keys as key_files
from tests.command import FOUNDING, LIUHEN, environment, run
from tests.office import Desk, settings_for

ASKED = {"LIUHEN_COUNTY": "青龙满族自治县", "LIUHEN_TOWNSHIP": "青龙镇"}
ORIGIN = {"LIUHEN_LOG_ORIGIN": "sfj.qinglong.example/custody"}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "var"


@pytest.mark.parametrize("command", [("keys", "init"), ("found",)], ids=" ".join)
def test_nobody_there_to_ask_and_nothing_said_makes_nothing(home, command):
    done = run(home, *command)
    assert done.returncode == 1
    for name in ("LIUHEN_COUNTY", "LIUHEN_TOWNSHIP", "LIUHEN_LOG_ORIGIN"):
        assert done.err.count(name) >= 2, name  # in Chinese and in English
    some = run(home, *command, "--json", **ASKED)
    assert json.loads(some.out)["code"] == "founding-unasked"
    assert json.loads(some.out)["facts"] == {"settings": "LIUHEN_LOG_ORIGIN"}
    assert not home.exists()
    assert list(home.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--origin", SHARED_ORIGIN), "origin-name"),
        (("--origin", "a b"), "origin-name"),
        (("--county", "../x"), "area-name"),
        (("--county", "all"), "area-name"),
        (("--township", "a/b"), "area-name"),
    ],
)
def test_a_name_that_no_office_may_have_makes_nothing(home, more, code):
    done = run(home, "keys", "init", *FOUNDING, *more)
    assert done.returncode == 1
    assert f"error ({code})" in done.err
    assert not home.exists()


def test_what_was_said_at_founding_is_known_to_every_later_command(home):
    done = run(home, "keys", "init", **ASKED, **ORIGIN)
    assert done.returncode == 0, done.err
    assert ORIGIN["LIUHEN_LOG_ORIGIN"] in done.out
    # As the compose file hands them in at every later start.
    empty = {"LIUHEN_COUNTY": "", "LIUHEN_TOWNSHIP": "", "LIUHEN_LOG_ORIGIN": ""}
    for more in ({}, empty):
        assert run(home, "found", **more).returncode == 0
        shown = run(home, "config", "show", "--json", **more).out.splitlines()
        known = {one["name"]: one for one in map(json.loads, shown)}
        for name, value in {**ASKED, **ORIGIN}.items():
            setting = known[name.removeprefix("LIUHEN_").lower()]
            assert (setting["value"], setting["source"]) == (value, "founding")
    assert "只适用国家规则" in run(home, "rules", "check").out
    (home / "liuhen.toml").write_text('county = ""\n')
    assert "只适用国家规则" in run(home, "rules", "check").out
    assert Settings.of_home(home).county == ASKED["LIUHEN_COUNTY"]
    other = run(home, "rules", "check", LIUHEN_COUNTY="兴隆县")  # a setting comes first
    assert "只适用国家规则" not in other.out


def test_a_person_is_asked_at_the_terminal_until_the_answer_can_be_used(home):
    """Wrong county first; the log's proposed origin is taken as it is."""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [LIUHEN, "keys", "init"],
        env=environment(home),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        os.write(master, "a/b\n青龙满族自治县\n青龙镇\n\n".encode())
        told = b""
        while True:
            try:
                told += (part := os.read(master, 1 << 16))
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
        assert process.wait() == 0, told.decode()
    os.close(master)
    told = told.decode()
    assert told.count("所属县(区)") == 2
    assert "That cannot be used" in told
    settings = Settings.of_home(home)
    assert (settings.county, settings.township) == ("青龙满族自治县", "青龙镇")
    assert settings.log_origin in told
    assert is_new_origin(settings.log_origin)


def test_two_proposals_are_two_origins():
    proposed = {propose_origin(os.urandom(6)) for _ in range(100)}
    assert len(proposed) == 100
    assert all(map(is_new_origin, proposed))


def test_an_office_of_before_keeps_county_township_and_origin(tmp_path):
    """Founded when these were defaults: no record, and no setting."""
    desk = Desk.set_up(tmp_path, log_origin="old.test/custody")
    home = desk.office.settings.home
    desk.office.close()
    (home / "keys" / RECORD).unlink()
    settings = Settings.of_home(home)
    assert (settings.county, settings.township) == ("兴隆县", "兴隆镇")
    assert settings.log_origin == "old.test/custody"
    assert run(home, "found").returncode == 0
    assert "只适用国家规则" not in run(home, "rules", "check").out


def test_a_damaged_record_is_told_and_not_guessed(tmp_path):
    desk = Desk.set_up(tmp_path)
    home = desk.office.settings.home
    desk.office.close()
    (home / "keys" / RECORD).write_text('{"v":1,"county":')
    with pytest.raises(KeyRingError):
        Settings.of_home(home)
    assert run(home, "accounts", "list").returncode == 1


def test_a_lost_record_does_not_bring_back_what_was_the_default_once(tmp_path):
    desk = Desk.set_up(tmp_path, county="青龙满族自治县", township="青龙镇")
    home = desk.office.settings.home
    desk.office.close()
    (home / "keys" / RECORD).unlink()
    done = run(home, "accounts", "list")
    assert done.returncode == 1
    for said in ("office-record-lost", "青龙镇", "liuhen.toml", "office.json"):
        assert said in done.err.replace("\n", "")
    (home / "liuhen.toml").write_text('county = "青龙满族自治县"\ntownship = "青龙镇"\n')
    assert run(home, "accounts", "list").returncode == 0


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("after", ["recovery.key", "keys"])
def test_a_founding_killed_around_its_keys_is_gone_on_with(tmp_path, monkeypatch, after):
    settings = settings_for(tmp_path, county="青龙满族自治县", township="青龙镇")

    def killed(*_arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        # Before the whole ring gets its name, or just after.
        patch.setattr(
            *(key_files, "sync_folder", killed_when_named(settings.keys))
            if after == "keys"
            else (key_files.Path, "replace", killed)
        )
        with pytest.raises(KilledError):
            found_office(settings)
    blank = settings.model_copy(update={"county": "", "township": "", "log_origin": ""})
    office = found_office(blank)
    assert office.settings.county == "青龙满族自治县"
    assert office.ring.get_verify_key("log").name == settings.log_origin
    office.close()
    Office.open(Settings.of_home(settings.home).model_copy(
        update={"database_url": settings.database_url}
    )).close()  # fmt: skip


def killed_when_named(keys):
    from storage.durable import sync_folder

    def sync(folder):
        sync_folder(folder)
        if folder == keys.parent and keys.exists():
            raise KilledError

    return sync


def test_a_founding_killed_before_its_keys_were_whole_asks_again(tmp_path, monkeypatch):
    settings = settings_for(tmp_path)

    def killed(*_arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(key_files.OpenKey, "save", killed)
        with pytest.raises(KilledError):
            found_office(settings)
    with pytest.raises(FoundingUnaskedError):
        found_office(settings.model_copy(update={"county": ""}))
    with pytest.raises(ApiError):
        found_office(settings.model_copy(update={"log_origin": SHARED_ORIGIN}))
    found_office(settings).close()
