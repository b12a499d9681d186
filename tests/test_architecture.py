"""The import rules of the house: api -> ingest -> storage -> policies, one module per outside tool."""

import ast
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from policies.identifiers import Subject

ROOT = Path(__file__).parent.parent
ROOMS = ("policies", "storage", "ingest", "api")

# An outside library, and the only places that may import it (prefixes of module paths).
ALLOWED = {
    "fastapi": ("api",),
    "starlette": ("api",),
    "typer": ("api.cli",),
    "rich": ("api",),
    "jinja2": ("api.console",),
    "uvicorn": ("api",),
    "argon2": ("api.office.identity",),
    "pydantic_settings": ("api.office.settings.settings",),
    "sqlalchemy": ("storage.catalogue",),
    "alembic": ("storage.catalogue",),
    "psycopg": ("storage.catalogue",),
    "watchdog": ("ingest.bays.watch",),
    "ffmpeg": ("ingest.media.sandbox",),
    "av": ("ingest.media.sandbox", "ingest.media.sandboxed"),
    "chinese_calendar": ("policies.time.calendar",),
    "zxingcpp": ("ingest.media.sandboxed", "ingest.media.scene_code"),
    "minio": ("storage.vault.s3.client",),
    "ntplib": ("api.office.trusted_time",),
    "fpdf": ("api.office.printed.paper",),
    "jwt": ("api.office.enrolment", "ingest.station.delivery.centre_client"),
    "urllib3": ("ingest.station.delivery.centre_client", "storage.vault.s3.transport"),
    "yaml": ("policies.rules.rulebook", "ingest.sources"),
}

# Inside a room its folders have an order, too: each knows only those before it. The tables of the
# catalogue are one layer, whichever folder they lie in.
ORDER = {
    "api": ("texts", "problems", "office", "jobs", "http", "console", "app", "station", "cli"),
    "ingest": ("sources", "media", "bays", "cameras", "centre_protocol", "centre", "station"),
    "storage": (
        *("errors", "recording", "digest", "durable", "medium", "signed", "custody", "record"),
        *("vault", "bundle", "catalogue", "upkeep"),
    ),
    "storage.catalogue": (
        *("engine", "tables", "audited_tables", "database_check", "duty_basis", "log"),
        *("unit_of_work", "transfer", "proofs", "people", "stations", "jobs", "recordings"),
        *("reading", "holds", "cases", "retention", "oversight", "audit", "migrations"),
    ),
    "policies": (
        *(
            "identifiers",
            "time",
            "scene_code",
            "facts",
            "requirements",
            "rules",
            "duties",
            "evaluation",
        ),
        *("linking", "access", "retention"),
    ),
}
FLAT_FILES = 12  # as many files may lie in one folder

# Words that stand for nothing in particular: no function, parameter, variable or class is called so.
# Fields are left out: columns, settings and documents are what others read.
EMPTY_WORDS = frozenset(
    [
        "told",
        "one",
        "found",
        "wanted",
        "kept",
        "said",
        "seen",
        "known",
        "asked",
        "given",
        "shown",
        "left",
        "due",
        "done",
        "gone",
        "made",
        "taken",
        "held",
        "which",
        "what",
        "who",
        "it",
        "all",
        "several",
        "others",
        "both",
        "drawn",
        "handed",
        "listed",
        "meant",
        "counted",
        "answered",
        "judged",
        "missing",
        "item",
        "thing",
        "data",
        "value",
        "result",
        "obj",
        "info",
        "helper",
    ]
)
# A library's own names (SQLAlchemy's types), commands, and the two sides of a tree's node.
NAMED_BY_OTHERS = {
    "storage.catalogue.engine.columns": {"value"},
    "storage.custody.merkle.tree": {"left"},
    "storage.custody.merkle.partial_tree": {"left"},
    "storage.custody.merkle.tiles": {"left"},
    "api.cli.processes.serve": {"found"},
    "api.cli.evidence.retention": {"due"},
}
ONE_WORD_FUNCTIONS = 0.2  # as many of all functions may have one word for a name
LONGEST_FUNCTION = 60  # lines, its docstring among them
LONGEST_FILE = 500  # lines
COMMENTS = 0.03  # as many of all lines, at least, say why


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    return tuple(
        (
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"),
            ast.parse(path.read_text(encoding="utf-8")),
        )
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    )


@cache
def imports(tree: ast.Module) -> tuple[str, ...]:
    return tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_rooms_know_only_the_rooms_below() -> None:
    upward = [
        f"{name} imports {target}"
        for name, tree in modules()
        for target in imports(tree)
        if target.split(".")[0] in ROOMS
        and ROOMS.index(target.split(".")[0]) > ROOMS.index(name.split(".")[0])
    ]
    assert upward == []


def _place(room: str, module: str) -> int:
    """Return where a module stands in its room's order; -1 for a module of another room."""
    within = module.removeprefix(f"{room}.").split(".")
    if room == "storage.catalogue" and "tables" in within:
        within = ["tables"]
    if not module.startswith(f"{room}.") or within[0] not in ORDER[room]:
        return -1
    return ORDER[room].index(within[0])


@pytest.mark.parametrize("room", sorted(ORDER))
def test_folders_of_a_room_know_only_those_before_them(room: str) -> None:
    packages = {name.rpartition(".")[0] for name, _tree in modules()}
    backward = [
        f"{name} imports {target}"
        for name, tree in modules()
        for target in set(imports(tree)) - packages
        if name.startswith(f"{room}.") and _place(room, target) > _place(room, name) >= 0
    ]
    assert backward == []


@pytest.mark.parametrize("room", sorted(ORDER))
def test_every_folder_of_a_room_has_its_place(room: str) -> None:
    depth = room.count(".") + 1
    parts = {
        name.split(".")[depth]
        for name, _tree in modules()
        if name.startswith(f"{room}.") and not name.endswith(".tables")
    }
    assert parts - {"tables"} == {*ORDER[room]} - {"tables"}


def test_no_folder_holds_more_files_than_one_sees_at_once() -> None:
    crowded = {
        str(folder.relative_to(ROOT)): count
        for room in ROOMS
        for folder in (ROOT / room, *(path for path in (ROOT / room).rglob("*") if path.is_dir()))
        if (count := len(list(folder.glob("*.py")))) > FLAT_FILES and folder.name != "versions"
    }
    assert crowded == {}


@pytest.mark.parametrize("library", sorted(ALLOWED))
def test_each_outside_tool_has_its_own_modules(library: str) -> None:
    strangers = [
        name
        for name, tree in modules()
        for target in imports(tree)
        if target.split(".")[0] == library and not name.startswith(ALLOWED[library])
    ]
    assert strangers == []


def test_nobody_inherits_the_private_calls_of_an_outside_client() -> None:
    """From outside ruff refuses them (SLF001); who inherits from the SDK's client gets round it."""
    heirs = [
        f"{name}.{node.name}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {base.id for base in node.bases if isinstance(base, ast.Name)}
        & {"Minio", "PoolManager"}
    ]
    assert heirs == []


def test_policies_use_the_standard_library_alone() -> None:
    strangers = [
        f"{name} imports {target}"
        for name, tree in modules()
        if name.startswith("policies")
        for target in imports(tree)
        if target.split(".")[0]
        not in sys.stdlib_module_names | {"policies", "yaml", "chinese_calendar"}
    ]
    assert strangers == []


def test_subjects_of_the_log_are_spelled_in_one_place() -> None:
    kinds = {name.removeprefix("of_") for name in vars(Subject) if name.startswith("of_")}
    spelled_by_hand = [
        f"{name}: {start.value}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1
        if isinstance(start := node.values[0], ast.Constant)
        and str(start.value).removesuffix(":") in kinds
        and str(start.value).endswith(":")
        and name != "policies.identifiers"
    ]
    assert spelled_by_hand == []


def test_only_settings_reads_the_environment() -> None:
    readers = [
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and name != "api.office.settings.settings"
    ]
    assert readers == []


def test_one_module_knows_the_clock_and_randomness() -> None:
    calls = {"now", "utcnow", "today", "urandom", "token_bytes", "token_urlsafe"}
    holders = [
        f"{name}: {node.attr}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in calls
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date", "os", "secrets"}
        and name != "api.office.system"
    ]
    assert holders == []


def test_the_verification_core_needs_no_database() -> None:
    for name, tree in modules():
        if name.startswith(("storage.custody", "storage.bundle")):
            for target in imports(tree):
                assert not target.startswith(("sqlalchemy", "storage.catalogue")), (name, target)


def test_third_party_readers_import_nothing_of_ours() -> None:
    for path in sorted((ROOT / "tests" / "third_party").glob("*.py")):
        if not path.name.startswith("test_"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            libraries = {target.split(".")[0] for target in imports(tree)}
            assert libraries - sys.stdlib_module_names == {"cryptography"}, path.name
            relative = [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
            assert all(one.level == 0 for one in relative), path.name


def bindings(tree: ast.Module) -> Iterator[str]:
    """Yield what a module's code binds: functions, parameters, variables, classes; no fields."""
    fields = {
        id(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, ast.Assign | ast.AnnAssign)
        for target in ast.walk(member)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Store)
            and id(node) not in fields
        ):
            yield node.id


def test_names_carry_their_noun() -> None:
    empty = {
        f"{name}: {binding}"
        for name, tree in modules()
        for binding in bindings(tree)
        if not binding.startswith("__")
        and ".migrations." not in name
        and binding.strip("_").lower() in EMPTY_WORDS - NAMED_BY_OTHERS.get(name, set())
    }
    assert empty == set()


def functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (name, node)
        for name, tree in modules()
        if ".migrations." not in name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_functions_say_verb_and_noun() -> None:
    names = [node.name for _module, node in functions() if not node.name.startswith("__")]
    single = [name for name in names if "_" not in name.strip("_")]
    assert len(single) < ONE_WORD_FUNCTIONS * len(names)


def test_no_function_is_longer_than_one_sees_at_once() -> None:
    long = [
        f"{name}.{node.name}"
        for name, node in functions()
        if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def sources() -> Iterator[tuple[str, str]]:
    """Yield each module's path and text; what migrations did once stays as it was."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/migrations/" not in name:
                yield name, path.read_text(encoding="utf-8")


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    assert [name for name, text in sources() if text.count("\n") > LONGEST_FILE] == []


def test_the_middle_of_functions_says_why() -> None:
    comments = lines = 0
    for _name, text in sources():
        lines += text.count("\n")
        tokens = tokenize.generate_tokens(StringIO(text).readline)
        comments += sum(token.type == tokenize.COMMENT for token in tokens)
    assert comments > COMMENTS * lines
