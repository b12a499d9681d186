"""Paging of all lists: parameters `cursor` and `limit`, answer `items` and `next`.

A cursor names the place of the last item shown, never a number of items: what is entered or taken
away meanwhile moves nothing else. It is nobody's business what stands in it; one that was
mangled, or that another list gave, is refused.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from api.problems import ApiError

PAGE = 50
MOST = 200
_SUM_SIZE = 6
_BIGGEST = 1 << 62  # of both databases

Cursor = Annotated[str | None, Query(max_length=2000)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
ItemOut = TypeVar("ItemOut")
Row = TypeVar("Row")
Part = str | int | datetime


class Page(BaseModel, Generic[ItemOut]):
    """Some items of a list, in its order; `next` is the cursor of the next page, if any."""

    items: list[ItemOut]
    next: str | None


def page_of(
    name: str,
    rows: Sequence[Row],
    limit: int,
    place: Callable[[Row], Sequence[Part]],
    show: Callable[[Row], ItemOut],
) -> Page[ItemOut]:
    """Return a page of `limit` rows; that there is one row more says that there is a next page."""
    # The place of the last row shown, not of the one more: that one begins the next page.
    page_rows = rows[:limit]
    more = write_cursor(name, *place(page_rows[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in page_rows], next=more)


def write_cursor(name: str, *parts: Part) -> str:
    """Return a cursor of the list of this name, with the place of the last item in it."""
    plain_parts = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    # The list's name goes in, so that a cursor of another list cannot be mistaken for one of this.
    text = json.dumps([name, *plain_parts], ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_checksum(text) + text).decode().rstrip("=")


def read_cursor(name: str, untrusted_cursor: str | None, *kinds: type[Any]) -> tuple[Any, ...]:
    """Return the parts of a cursor, each of its kind; nothing for the first page.

    Raises: ApiError(cursor) unless it is one of ours, of this very list.
    """
    if not untrusted_cursor:
        return ()
    try:
        # The padding was left out to spare clients the escaping of "=".
        padded = untrusted_cursor + "=" * (-len(untrusted_cursor) % 4)
        read = urlsafe_b64decode(padded.encode("ascii"))
        whole, text = read[:_SUM_SIZE], read[_SUM_SIZE:]
        # Not a secret, and no protection: it tells a mangled cursor from ours. What it says is
        # parsed and bounded like any input, and asks for nothing beyond what the list gives anyway.
        if whole != _checksum(text):
            raise ValueError("mangled")
        of, *parts = json.loads(text)
        if of != name:
            raise ValueError(of)
        return tuple(_parse_part(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise ApiError("cursor") from error


def _parse_part(untrusted_part: object, kind: type[Any]) -> Part:
    if kind is datetime and isinstance(untrusted_part, str):
        at = datetime.fromisoformat(untrusted_part)
        # Ours are in UTC; another offset could overflow on its way there.
        if at.utcoffset() != UTC.utcoffset(None):
            raise ValueError(untrusted_part)
        return at.astimezone(UTC)
    # PostgreSQL refuses a NUL in a text, and would fail the query.
    if kind is str and isinstance(untrusted_part, str) and "\0" not in untrusted_part:
        return untrusted_part
    # `type`, for to Python True is an int.
    if kind is int and type(untrusted_part) is int and abs(untrusted_part) < _BIGGEST:
        return untrusted_part
    raise ValueError(untrusted_part)


def _checksum(text: bytes) -> bytes:
    return sha256(text).digest()[:_SUM_SIZE]
