"""What a newcomer meets first: help, version, and what is missing or wrong, told without traceback."""

import importlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.main import get_group
from typer.testing import CliRunner

from api.cli import main
from api.cli.help import columns_of, describe_command, describe_parameter, wrap_text
from api.texts.tables import load_pairs
from tests.command import FOUNDING
from tests.office import Desk

LIUHEN = Path(sys.executable).with_name("liuhen")
# These run until they are stopped, or tell a story.
LONG_RUNNING = {"serve", "centre", "worker", "station", "demo", "config reference"}
CHINESE, LATIN = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]{2,}")


def run(home, *arguments, **more):
    environment = {"PATH": os.environ["PATH"], "LIUHEN_HOME": str(home), "PYTHONUTF8": "1"}
    environment |= {"LIUHEN_IMMUTABLE": "false", "COLUMNS": "80"} | more
    done = subprocess.run(
        [LIUHEN, *map(str, arguments)], env=environment, capture_output=True, check=False
    )
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in done.err + done.out, done.err
    return done


def commands(group, ctx, path=()):
    """Yield every command of the tree with its words."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if not path:
            command = main._import_command(name)
        yield (*path, name), command
        if hasattr(command, "list_commands"):
            yield from commands(command, ctx, (*path, name))


WHOLE = get_group(main.app)
ALL = dict(commands(WHOLE, WHOLE.make_context("liuhen", [], resilient_parsing=True)))


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_is_whole_in_both_languages_at_80_columns(words):
    shown = CliRunner().invoke(main.app, [*words, "--help"], env={"COLUMNS": "80"}, color=False)
    assert shown.exit_code == 0, shown.output
    assert all(columns_of(line) <= 80 for line in shown.output.splitlines()), shown.output
    flat = "".join(shown.output.split())
    command = ALL[words] if words else WHOLE
    name = " ".join(words)
    own = [describe_command(name), *(describe_parameter(name, one.name) for one in command.params)]
    own += [" ".join(load_pairs("commands", "details").get(name, ()))]
    below = [one for one in ALL if one[:-1] == words]
    own = [told for told in own if told]
    texts = own + [describe_command(" ".join(one)) for one in below]
    for told in texts:
        assert told, words
        assert "".join(told.split()) in flat, told
        for word in LATIN.findall(told):
            assert word in shown.output, (word, told)
    for told in own:
        assert CHINESE.search(told), told
        assert LATIN.search(told), told
        assert CHINESE.search(told).start() < 12, told  # Chinese first


def test_long_text_is_wrapped_between_words_and_characters():
    lines = wrap_text("核验证据包,或全部内容。 Verify everything that is kept here.", 12)
    assert lines == ["核验证据包,", "或全部内容。", "Verify", "everything", "that is kept", "here."]


def test_every_text_is_of_a_command_or_a_parameter_that_there_is():
    names = {" ".join(words) for words in ALL} | {""}
    assert set(load_pairs("commands", "commands")) == names
    assert set(load_pairs("commands", "details")) <= names
    parameters = {one.name for command in (WHOLE, *ALL.values()) for one in command.params}
    own = {
        f"{' '.join(words)} {one.name}".strip()
        for words, command in [((), WHOLE), *ALL.items()]
        for one in command.params
    }
    assert set(load_pairs("commands", "parameters")) <= own | parameters | {"help"}


def test_every_command_of_the_table_is_in_its_module():
    for name, module in main.COMMANDS.items():
        assert getattr(importlib.import_module(f"api.cli.{module}"), name)
    for module, app in main.GROUPS.values():
        assert getattr(importlib.import_module(f"api.cli.{module}"), app)


def test_every_command_that_answers_can_answer_in_json():
    without = {
        " ".join(words)
        for words, command in ALL.items()
        if not hasattr(command, "list_commands")
        and not any("--json" in one.opts for one in command.params)
    }
    assert without <= LONG_RUNNING


def imported_by(*arguments):
    """Return the modules that a command imports, in a process of its own."""
    program = (
        "import sys; sys.argv = ['liuhen', *sys.argv[1:]]\n"
        "from api.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, check=True, text=True
    )
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"sqlalchemy", "alembic", "minio", "psycopg", "fastapi", "av", "cryptography"}
HEAVY |= {"uvicorn", "rich", "fpdf", "urllib3"}


def test_help_imports_no_command():
    loaded = imported_by("--help")
    assert not loaded & (
        HEAVY | {"pydantic", "yaml", "api.office.settings.settings", "api.problems"}
    )
    assert {one for one in loaded if one.startswith("api.cli.")} == {"api.cli.main", "api.cli.help"}


def test_rules_are_checked_without_database_store_or_server():
    assert not imported_by("rules", "check") & HEAVY


def test_version_is_told(tmp_path):
    assert re.fullmatch(r"liuhen \d+\.\d+\.\d+\n", run(tmp_path, "--version").out)


def test_wrong_setting_is_told_in_both_languages_with_status_two(tmp_path):
    (tmp_path / "liuhen.toml").write_text('cleer = "never"\n')
    done = run(tmp_path, "doctor")
    assert done.returncode == 2
    assert f"{tmp_path}/liuhen.toml 第 1 行" in done.err
    assert "did you mean clear?" in done.err
    as_json = run(tmp_path, "doctor", "--json")
    assert json.loads(as_json.out)["code"] == "setting-unknown"
    misspelt = run(tmp_path / "other", "doctor", LIUHEN_PRT="9")
    assert misspelt.returncode == 2
    assert "LIUHEN_PORT" in misspelt.err


def test_settings_are_listed_with_their_sources(tmp_path):
    done = run(tmp_path, "config", "show", "--json", LIUHEN_PORT="9")
    found = {one["name"]: one for one in map(json.loads, done.out.splitlines())}
    assert found["port"] == {"name": "port", "value": 9, "source": "LIUHEN_PORT"}
    assert "clear = " in run(tmp_path, "config", "show").out


def test_database_of_a_newer_version_is_told_and_left_alone(tmp_path):
    assert run(tmp_path, "keys", "init", *FOUNDING).returncode == 0
    database = sqlite3.connect(tmp_path / "catalogue.db")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (("accounts", "list"), ("doctor",), ("keys", "init")):
        done = run(tmp_path, *command)
        assert done.returncode == 1
        assert "9999" in done.out + done.err, command
    assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    database.close()


def test_catalogue_of_a_newer_version_is_refused_on_either_database(tmp_path):
    from storage.errors import CatalogueNewerError

    desk = Desk.set_up(tmp_path)
    with desk.office.catalogue._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for call in (desk.office.catalogue.count_entries, desk.office.catalogue.migrate_tables):
        with pytest.raises(CatalogueNewerError) as refused:
            call()
        assert refused.value.facts["revision"] == "9999"
    desk.office.close()


@pytest.mark.parametrize("command", ["serve", "centre"])
def test_busy_port_is_told_before_anything_is_opened(tmp_path, command):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        done = run(tmp_path, command, "--port", holder.getsockname()[1])
    assert done.returncode == 1
    assert "error (port-busy)" in done.err
    assert "控制台" not in done.err


def test_demonstration_without_ffmpeg_says_what_to_install(tmp_path):
    done = run(tmp_path, "demo", "--home", tmp_path / "demo", PATH="/nowhere")
    assert done.returncode == 1
    assert "apt-get install ffmpeg" in done.err
    assert not (tmp_path / "demo").exists()


def test_home_that_the_system_refuses_is_told_with_its_name(tmp_path):
    (tmp_path / "file").write_text("x")
    for home in (tmp_path / "file" / "var", Path("/sys/liuhen")):
        done = run(home, "keys", "init", *FOUNDING)
        assert done.returncode == 1
        assert str(home) in done.err
        assert re.search(r"error \(file-(denied|refused|read-only)\)", done.err), done.err


def test_home_on_a_read_only_disk_is_told(tmp_path):
    assert run(tmp_path, "keys", "init", *FOUNDING).returncode == 0
    told = subprocess.run(
        ["bwrap", "--dev-bind", "/", "/", "--ro-bind", tmp_path, tmp_path, LIUHEN, "accounts", "list"],
        env={"PATH": os.environ["PATH"], "LIUHEN_HOME": str(tmp_path), "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    ).stderr.decode()  # fmt: skip
    if "bwrap:" in told:
        pytest.skip("no namespaces here")
    assert "Traceback" not in told
    assert "错误" in told
