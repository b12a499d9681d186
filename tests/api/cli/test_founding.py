"""An office is founded by `keys init` and `found` alone, and never beside parts of another one."""

import ast
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from api import cli
from api.office.founding import found_office, found_or_open
from api.office.wiring import Office
from storage.errors import (
    FoundingUnfinishedError,
    NoOfficeError,
    OfficeExistsError,
    OfficePartsError,
    StationHomeError,
)
from tests.command import run, run_program
from tests.office import FIRST, PASSWORD, Desk, dock, segment, settings_for
from tests.servers import database
from tests.township import County, Township

PERSON = ("--username", "zhang", "--name", "张伟", "--role", "officer", "--password", PASSWORD)
COMMANDS = (
    ("serve", "--port", "0"),
    ("centre", "--port", "0"),
    ("worker", "--name", "worker-1"),
    ("ingest", "."),
    ("verify", "--all"),
    ("duties",),
    ("accounts", "add", *PERSON),
    ("accounts", "add"),  # refused before anything is asked
    ("bundle", "1号", "out"),
    ("stations", "list"),
    ("recorders", "add", "0000012"),
    ("rules", "explain", "1号"),
    ("hold", "list"),
    ("checks", "draw", "--seed", "x", "--purpose", "y"),
    ("jobs", "ask", "scrub"),
    ("archive", "init"),
    ("log", "proof", "0"),
    ("station",),
    ("station", "status"),
)


def tree(folder):
    """Return every file and folder below, with the bytes of files."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_in_an_empty_home_refuses_names_it_and_makes_nothing(tmp_path, command):
    home = tmp_path / "wrong" / "var"
    home.parent.mkdir()
    bays = json.dumps({"bay-1": str(tmp_path)})
    more = {"LIUHEN_BAYS": bays, "LIUHEN_ARCHIVE": str(tmp_path / "safe")}
    done = run(home, *command, **more)
    assert done.returncode == 1, done.out + done.err
    assert tree(home.parent) == {}
    assert not (tmp_path / "safe").exists()
    if command[:2] == ("station", "status"):
        return  # a station's own home, of which it says so
    told = done.err + done.out
    assert str(home) in told
    assert "LIUHEN_HOME=" in told
    assert "liuhen keys init" in told


def test_no_other_command_founds():
    """What the test above cannot run one by one: who calls what makes an office."""
    commands = Path(cli.__file__).parent
    callers = {
        path.stem
        for path in commands.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"found_office", "found_or_open", "open_empty"}
    }
    assert callers == {"demo", "keys", "serve"}
    serve = (commands / "processes" / "serve.py").read_text(encoding="utf-8")
    assert serve.count("found_or_open(") == 1


@pytest.mark.parametrize(
    "command",
    [("doctor",), ("rules", "check"), ("rules", "explain"), ("cameras", "list"), ("verify", "no")],
    ids=" ".join,
)
def test_what_needs_no_office_makes_none(tmp_path, command):
    home = tmp_path / "wrong" / "var"
    home.parent.mkdir()
    done = run(home, *command)
    assert "keys init" not in done.err
    assert tree(home.parent) == {}


def test_the_refusal_is_one_for_programs_too(tmp_path):
    done = run_program(tmp_path / "var", "ingest", ".", "--json")
    assert done.returncode == 1
    told = json.loads(done.out)
    assert told["code"] == "no-office"
    assert told["facts"] == {"home": str(tmp_path / "var")}
    assert "LIUHEN_HOME" in told["next"]


def test_a_founding_before_its_log_began_is_gone_on_with_when_it_is_said_again(tmp_path):
    """Keys are the first that is made, and the log's head the last but one."""
    settings = settings_for(tmp_path)
    found_office(settings).close()
    ring = tree(settings.keys)
    for part in ("log-signer", "objects", "object-store.id", "station.db"):
        path = settings.home / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if settings.database_url is None:
        for path in settings.home.glob("catalogue.db*"):
            path.unlink()
    else:
        (tmp_path / "database-url").unlink()
        settings = settings_for(tmp_path)
    with pytest.raises(FoundingUnfinishedError):
        Office.open(settings)
    before = tree(settings.home)
    refused = run(settings.home, "accounts", "list")
    assert refused.returncode == 1
    assert "liuhen keys init" in refused.err
    assert tree(settings.home) == before
    again = run(settings.home, "keys", "init")
    assert again.returncode == 0, again.err
    assert tree(settings.keys) == ring
    assert "恢复密钥" in again.out
    assert run(settings.home, "accounts", "list").returncode == 0


def test_a_founding_whose_log_has_begun_without_an_entry_is_gone_on_with(tmp_path):
    settings = settings_for(tmp_path)
    found_office(settings).close()
    if settings.database_url is None:
        database_file = settings.home / "catalogue.db"
        for path in settings.home.glob("catalogue.db*"):
            path.unlink()
        database_file.touch()
    else:
        (tmp_path / "database-url").unlink()
        settings = settings_for(tmp_path)
    with pytest.raises(FoundingUnfinishedError):
        Office.open(settings)
    office = found_or_open(settings)
    assert office.catalogue.count_entries() == 7  # its five keys, its rules, and its station
    office.close()


def lose_the_catalogue(desk):
    if desk.office.settings.database_url is None:
        for path in desk.office.settings.home.glob("catalogue.db*"):
            path.unlink()
    else:
        forget_the_database(desk)


def empty_the_catalogue(desk):
    lose_the_catalogue(desk)
    if desk.office.settings.database_url is None:
        (desk.office.settings.home / "catalogue.db").touch()


def give_it_fresh_tables(desk):
    lose_the_catalogue(desk)
    database.migrated(desk.office.settings.database)


def forget_the_database(desk):
    """A server's database that was made anew, and has no table."""
    folder = desk.office.settings.home.parent
    (folder / "database-url").write_text(database.Database.empty(folder).url)


def lose(*parts):
    def losing(desk):
        for part in parts:
            shutil.rmtree(desk.office.settings.home / part)

    losing.__name__ = "lose_" + "_and_".join(part.replace("-", "_") for part in parts)
    return losing


def lose_all_but_the_objects(desk):
    lose("keys", "log", "log-signer")(desk)
    lose_the_catalogue(desk)


def lose_all_but_the_head(desk):
    lose("keys", "log", "objects")(desk)
    lose_the_catalogue(desk)


def lose_all_but_the_log(desk):
    lose("keys", "log-signer", "objects")(desk)
    lose_the_catalogue(desk)


def lose_all_but_keys_and_objects(desk):
    lose("log", "log-signer")(desk)
    lose_the_catalogue(desk)


@pytest.mark.parametrize(
    ("losing", "there", "missing"),
    [
        (lose_the_catalogue, {"keys", "head", "log", "objects"}, {"catalogue"}),
        (empty_the_catalogue, {"keys", "head", "log", "objects"}, {"catalogue"}),
        (give_it_fresh_tables, {"keys", "head", "log", "objects"}, {"catalogue"}),
        (lose("keys"), {"head", "log", "catalogue", "objects"}, {"keys"}),
        (lose("log-signer"), {"keys", "log", "catalogue", "objects"}, {"head"}),
        (lose_all_but_the_objects, {"objects"}, {"keys", "head", "catalogue"}),
        (lose_all_but_the_head, {"head"}, {"keys", "catalogue"}),
        (lose_all_but_the_log, {"log"}, {"keys", "head", "catalogue"}),
        (lose_all_but_keys_and_objects, {"keys", "objects"}, {"head", "catalogue"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_opened_founded_or_migrated_beside_parts_of_an_office(
    desk, losing, there, missing
):
    size = desk.office.signer.last_head().size
    desk.office.close()
    losing(desk)
    settings = settings_now(desk)
    before = tree(settings.home)
    for opening in (Office.open, found_office, found_or_open):
        with pytest.raises(OfficePartsError) as refusal:
            opening(settings)
        assert set(refusal.value.facts["there"]) == there
        assert set(refusal.value.facts["missing"]) == missing
    assert tree(settings.home) == before
    for command in (("found",), ("keys", "init"), ("accounts", "list"), ("doctor",)):
        done = run(settings.home, *command)
        assert done.returncode == 1, done.out
        assert "切勿另建" in done.err + done.out
        if "head" in there:
            assert f"{size} 条" in done.err + done.out
    assert tree(settings.home) == before
    if settings.database_url and "catalogue" in missing:
        tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'recording'"
        ((count,),) = database.Database(settings.database).rows(tables)
        assert count == 0


def settings_now(desk):
    """Return the office's settings, of whatever database stands for its own now."""
    settings = desk.office.settings
    if settings.database_url is None:
        return settings
    url = (settings.home.parent / "database-url").read_text()
    return settings.model_copy(update={"database_url": url})


def test_an_office_is_not_founded_into_a_bucket_that_holds_recordings(s3_server, tmp_path):
    """The home was lost, or LIUHEN_HOME names another: the bucket says that there was an office."""
    bucket = s3_server.bucket()
    settings = in_bucket(s3_server, bucket, tmp_path / "first")
    office = found_office(settings)  # the bucket is made
    assert office.objects.find_identity() == office.known_store.name
    office.close()
    store = s3_server.store()
    other = in_bucket(s3_server, address_of(store, bucket), tmp_path / "second")
    key = "01a221de-540c-71a1-a2b1-5413f6be91e1/payload"
    store.put(key, [b"somebody's"])
    before = tree(other.home)
    with pytest.raises(OfficePartsError) as refusal:
        found_office(other)
    assert refusal.value.facts["there"] == ["objects"]
    assert tree(other.home) == before


def address_of(store, like):
    from dataclasses import replace

    return replace(like, bucket=store._client.bucket)


def in_bucket(server, bucket, folder):
    folder.mkdir()
    (folder / "access").write_text(server.key.access)
    (folder / "secret").write_text(server.key.secret)
    return settings_for(
        folder,
        objects_url=f"s3://{bucket.host}/{bucket.bucket}?secure={str(bucket.secure).lower()}",
        objects_access_key_file=folder / "access",
        objects_secret_file=folder / "secret",
    )


def test_an_office_that_is_there_is_not_founded_again(desk):
    desk.office.close()
    before = tree(desk.office.settings.keys)
    with pytest.raises(OfficeExistsError):
        found_office(desk.office.settings)
    assert run(desk.office.settings.home, "found").returncode == 0  # a county's every start
    assert tree(desk.office.settings.keys) == before


def test_an_enrolled_stations_home_is_no_office_and_its_commands_work(tmp_path):
    county = County.found(tmp_path / "county")
    township = Township(tmp_path / "town", "dock-1")
    with county.serve():
        township.enrol(county)
        with township.open() as home:
            home.report()
    before = tree(township.settings.home)
    for opening in (Office.open, found_office, found_or_open):
        with pytest.raises(StationHomeError):
            opening(township.settings.model_copy(update={"database_url": None}))
    refused = run(township.settings.home, "accounts", "list")
    assert refused.returncode == 1
    assert "采集站" in refused.err
    assert tree(township.settings.home) == before
    assert run(township.settings.home, "station", "status").returncode == 0
    assert run(township.settings.home, "doctor").returncode == 0
    county.desk.office.close()


def test_an_empty_home_is_no_office(tmp_path):
    settings = settings_for(tmp_path)
    if settings.database_url is None:
        (settings.home / "catalogue.db").unlink()
        settings.home.rmdir()
    with pytest.raises(NoOfficeError) as refusal:
        Office.open(settings)
    assert refusal.value.facts == {"home": str(settings.home)}
    assert not settings.home.exists()


def test_an_older_catalogue_still_opens_to_be_looked_at(desk, tmp_path):
    """It is whole, if old: what is wrong with it `verify --all` and /readyz say."""
    settings = desk.office.settings
    if settings.database_url is not None:
        pytest.skip("a file's copy")
    older = tmp_path / "older"
    with closing(sqlite3.connect(settings.home / "catalogue.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(older),))
    (desk.bay("bay-1") / "note.txt").write_text("one more")
    desk.sweep()
    desk.office.close()
    shutil.copyfile(older, settings.home / "catalogue.db")
    for name in ("catalogue.db-wal", "catalogue.db-shm"):
        Path(settings.home / name).unlink(missing_ok=True)
    Office.open(settings).close()
    assert run(settings.home, "verify", "--all").returncode == 1
