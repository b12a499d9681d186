"""When a source is cleared: the setting alone, without what clearing needs."""

from enum import StrEnum


class When(StrEnum):
    """The station's setting."""

    NEVER = "never"
    AT_ONCE = "at-once"
    AFTER_DAYS = "after-days"
