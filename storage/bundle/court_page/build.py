"""Build the court's page `verify.html`: one file without network, of the sources in this folder.

The sources are ES modules, ours and the vendored ones as their authors published them. They are
joined into one script here: each becomes a function's body whose exports are its result, in the
order in which they need each other. So no other program is needed to build the page, the same
sources give the same bytes, and what runs in the page can be compared with the sources line by
line. The page's own policy names the script by its digest, and forbids every connection.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from storage.digest import Digest

PAGE_PATH = "data/verify.html"  # of the convenience copy in a bundle
ENTRY = "source/main.js"
_FOLDER = Path(__file__).parent
_LICENCES = ("noble-hashes", "noble-curves", "noble-post-quantum")
_IMPORT = re.compile(
    r"^import (?:\* as (\w+)|\{([^}]*)\}) from ['\"]([^'\"]+)['\"];\n", re.MULTILINE
)
_EXPORT = re.compile(r"^export ((?:const|async function\*?|function\*?|class) (\w+))", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{([^}]*)\};\n", re.MULTILINE)
_OTHER_MODULE_CODE = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
_VENDORED = re.compile(r"^@noble/(\w[\w-]*)/(.+)$")
_ENDS_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)
_ENDS_STYLE = re.compile(r"</style", re.IGNORECASE)
# No connection, no frame, no form, no style but ours; and no text is ever parsed as HTML.
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src blob:; media-src blob:; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@cache
def build_page() -> bytes:
    """Return the page; the same bytes from the same sources. Raises: ValueError, OSError."""
    script = link_modules(ENTRY)
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    if _ENDS_SCRIPT.search(script) or _ENDS_STYLE.search(style):
        raise ValueError("a source would end the element that holds it")
    policy = _POLICY.format(script=_source_of(script), style=_source_of(style))
    page = (_FOLDER / "page.html").read_text(encoding="utf-8")
    for name, content in (("POLICY", policy), ("STYLE", style), ("SCRIPT", script)):
        before, mark, after = page.partition("{{" + name + "}}")
        if not mark:
            raise ValueError(name)
        page = f"{before}{content}{after}"
    return page.encode()


def page_digest() -> str:
    """Return the page's SHA-256 as hex: what the key letter prints."""
    return Digest.compute(build_page()).hex


def link_modules(entry: str) -> str:
    """Return one script of a module and all that it needs; its value is the module's exports.

    Raises: ValueError for a circle of modules, or module code that is not of the few forms above.
    """
    order: list[str] = []
    _list_modules(entry, order, ())
    names = {path: f"module_{number}" for number, path in enumerate(order)}
    licences = "\n".join(
        (_FOLDER / "vendor" / name / "LICENSE").read_text(encoding="utf-8").strip()
        for name in _LICENCES
    )
    bodies = [_wrap_module(path, names) for path in order]
    head = f"/*\n{licences}\n*/\n'use strict';\n(() => {{\n"
    return f"{head}{''.join(bodies)}return {names[entry]};\n}})();\n"


def _list_modules(path: str, order: list[str], above: tuple[str, ...]) -> None:
    """Add a module behind all that it imports."""
    if path in above:
        raise ValueError(f"a circle of modules: {path}")
    if path in order:
        return
    for match in _IMPORT.finditer(_read_module(path)):
        _list_modules(_resolve(path, match[3]), order, (*above, path))
    order.append(path)


def _resolve(importer: str, target: str) -> str:
    if vendored := _VENDORED.match(target):
        return f"vendor/noble-{vendored[1]}/{vendored[2]}"
    parts: list[str] = []
    for part in (PurePosixPath(importer).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _read_module(path: str) -> str:
    return (_FOLDER / path).read_text(encoding="utf-8")


def _wrap_module(path: str, names: Mapping[str, str]) -> str:
    """Return a module as the constant that holds its exports."""
    text = _read_module(path)
    exports = {match[2]: match[2] for match in _EXPORT.finditer(text)}
    for match in _EXPORT_LIST.finditer(text):
        exports |= {outer: inner for inner, outer in _split_names(match[1])}

    def bind(match: re.Match[str]) -> str:
        module = names[_resolve(path, match[3])]
        if match[1]:
            return f"const {match[1]} = {module};\n"
        pairs = ", ".join(f"{outer}: {inner}" for outer, inner in _split_names(match[2]))
        return f"const {{ {pairs} }} = {module};\n" if pairs else ""

    body = _EXPORT.sub(r"\1", _EXPORT_LIST.sub("", _IMPORT.sub(bind, text)))
    if other := _OTHER_MODULE_CODE.search(body):
        raise ValueError(f"{path}: {other[0][:80]}")
    members = ", ".join(f"{outer}: {inner}" for outer, inner in sorted(exports.items()))
    return f"// {path}\nconst {names[path]} = (() => {{\n{body}\nreturn {{ {members} }};\n}})();\n"


def _split_names(names: str) -> list[tuple[str, str]]:
    """Return `a, b as c` as pairs: the name before `as`, and the one behind it."""
    pairs = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        first, _, second = name.partition(" as ")
        pairs.append((first.strip(), (second or first).strip()))
    return pairs


def _source_of(text: str) -> str:
    """Return how a policy names an inline script or style: by its SHA-256 (CSP 3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
