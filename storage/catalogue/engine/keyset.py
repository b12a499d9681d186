"""Pages of a list by the place of the last row seen: what comes or goes meanwhile moves nothing."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, literal, tuple_

Place = Sequence[Any]  # the values of a list's keys, in their order


def page_by_keys(
    query: Select[Any],
    keys: Sequence[Any],
    after: Place = (),
    limit: int | None = None,
    *,
    newest: bool = False,
) -> Select[Any]:
    """Return a list in the order of its keys (`newest` turns it round), from `after` on.

    The keys together are unique; `after` is empty for the first page.
    """
    # By place and not by count: OFFSET would skip or repeat rows when some come or go.
    ordered = query.order_by(*(key.desc() if newest else key for key in keys))
    if after:
        there = tuple_(*keys)
        pairs = zip(keys, after, strict=True)
        # With the key's own type, so that a time is bound as its column keeps it.
        last = tuple_(*(literal(bound, key.type) for key, bound in pairs))
        ordered = ordered.where(there < last if newest else there > last)
    return ordered.limit(limit)
