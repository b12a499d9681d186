"""Tables of texts: the files beside this module, read once when they are first asked for.

A table maps codes to texts. What a file must hold is checked as it is read: an editor who leaves
a language out learns it at the start, not when somebody meets the error.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def load_texts(file: str, table: str | None = None) -> dict[str, str]:
    """Load a table of codes and single texts. Raises: ValueError (what is no text)."""
    texts = _load(file, table)
    _refuse(file, [code for code, text in texts.items() if not isinstance(text, str)])
    return texts


def load_rows(file: str, table: str | None = None, *, of: tuple[str, ...]) -> dict[str, list[Any]]:
    """Load a table of codes and rows; each row has exactly the columns named.

    Raises: ValueError (a column too many or too few).
    """
    rows = _load(file, table)
    # Compared whole: a misspelt column would else be a text that nobody ever sees.
    _refuse(file, [code for code, row in rows.items() if set(row) != set(of)])
    return {code: [row[column] for column in of] for code, row in rows.items()}


def load_pairs(
    file: str, table: str | None = None, *, of: tuple[str, str] = ("zh", "en")
) -> dict[str, tuple[str, str]]:
    """Load a table of codes and pairs of texts, such as Chinese and English."""
    rows = load_rows(file, table, of=of)
    return {code: (first, second) for code, (first, second) in rows.items()}


def _refuse(file: str, codes: list[str]) -> None:
    if codes:
        raise ValueError(f"{file}.toml: {', '.join(codes)}")


def _load(file: str, table: str | None) -> dict[str, Any]:
    texts = _read(file)
    return texts[table] if table else texts


@cache
def _read(file: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{file}.toml").read_text(encoding="utf-8"))
