"""`liuhen` as a command of its own process: exit status, output and environment are real.

`run` begins where the program has been read already (see `fresh`); `run_program` starts the
installed program itself, as a shell does.
"""

import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from api import cli
from api.cli import main, terminal
from tests import fresh

# What every founding by a command says, as nobody is asked there.
FOUNDING = ("--county", "兴隆县", "--township", "兴隆镇", "--origin", "office.test/custody")
LIUHEN = Path(sys.executable).with_name("liuhen")
for command in pkgutil.walk_packages(cli.__path__, f"{cli.__name__}."):
    importlib.import_module(command.name)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: its status and what it said."""

    returncode: int | None
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()


def run(home, *arguments, answers="", **more) -> Done:
    """Run one command to its end; `more` is its environment besides what `environment` gives."""
    words = [str(LIUHEN), *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="liuhen-command-") as aside:
        channels = tuple(str(Path(aside, name)) for name in ("in", "out", "err"))
        Path(channels[0]).write_bytes(answers.encode())
        given = (words, environment(home, **more), str(Path(home).parent), channels)
        process = fresh.context().Process(target=_main, args=given)
        process.start()
        process.join()
        out, err = (Path(channel).read_bytes() for channel in channels[1:])
    return _without_traceback(Done(process.exitcode, out, err))


def run_program(home, *arguments, answers="", **more) -> Done:
    """Run one command as `run` does, in a process that a shell could have started."""
    done = subprocess.run(
        [LIUHEN, *map(str, arguments)],
        env=environment(home, **more),
        cwd=Path(home).parent,
        input=answers.encode(),
        capture_output=True,
        check=False,
    )
    return _without_traceback(Done(done.returncode, done.stdout, done.stderr))


def environment(home, **more) -> dict[str, str]:
    """Return all that a command of this office finds in its environment."""
    given = {"PATH": os.environ["PATH"], "LIUHEN_HOME": str(home), "PYTHONUTF8": "1"}
    given |= {"LIUHEN_IMMUTABLE": "false", "LANG": "C.UTF-8", "COLUMNS": "200"} | more
    if (url := Path(home).parent / "database-url").exists():  # the desk's own, on PostgreSQL
        given["LIUHEN_DATABASE_URL"] = url.read_text()
    return given


def _without_traceback(done: Done) -> Done:
    assert "Traceback" not in done.err + done.out, done.err
    return done


def _main(words: list[str], given: dict[str, str], folder: str, channels: tuple[str, ...]) -> None:
    """Take the words, environment, folder and channels of a command that was started, and be it."""
    os.environ.clear()
    os.environ.update(given)
    os.chdir(folder)
    for number, channel in enumerate(channels):
        opened = os.open(channel, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    for console in (terminal.OUT, terminal.ERR):
        console.width = int(given["COLUMNS"])
    sys.argv = words
    main.main()
