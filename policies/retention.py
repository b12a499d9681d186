"""Until when a recording is kept: the longest period that applies; it only ever grows."""

from datetime import datetime, timedelta

from policies.rules import Rulebook
from policies.stages import ActionKind


def retain_until(
    rulebook: Rulebook,
    accessioned_at: datetime,
    *,
    kind: ActionKind | None = None,
    already: datetime | None = None,
) -> datetime:
    """Return the later of what the rules ask for and what was promised `already`."""
    days, _rule = rulebook.retention_days(accessioned_at, kind)
    asked = accessioned_at + timedelta(days=days)
    return max(asked, already) if already else asked
