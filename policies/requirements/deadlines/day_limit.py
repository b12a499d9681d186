"""Days within which something is to be done: their last moment, and how a duty stands to it.

The day that the period begins with is not counted (民法典 第二百零一条); it ends with the last day
in county time. Each requirement has its own words for how the duty stands.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from policies.time.calendar import (
    county_day,
    day_after,
    end_of_day,
    surely_within,
    working_deadline,
)


@dataclass(frozen=True, slots=True)
class Misdated:
    """Done before the period began: one of both times is entered wrongly."""

    done_at: datetime


@dataclass(frozen=True, slots=True)
class InTime:
    """Done within the period."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not done, and not too late: `last` is the last moment of the period."""

    last: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """Done after `last`, or (`done_at` is None) not done though it has passed."""

    last: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell: working days from `day` on reach a year without a published calendar."""

    day: date


Standing = Misdated | InTime | Pending | Late | Unknown


@dataclass(frozen=True, slots=True)
class DayLimit:
    """So many days (working days) from a moment; `paused_s` seconds in it do not count."""

    since: datetime
    days: int
    working: bool = False
    paused_s: float = 0.0

    @property
    def last_moment(self) -> datetime | None:
        """The end of the last day; None where its year has no published calendar."""
        if self.working:
            return working_deadline(self.since, self.days)
        return self.last_calendar_moment

    @property
    def last_calendar_moment(self) -> datetime:
        """The end of the last day if every day counts."""
        end = end_of_day(day_after(self.since, self.days))
        return end_of_day(county_day(end + timedelta(seconds=max(0.0, self.paused_s))))

    def judge_fulfilment(self, done_at: datetime | None, now: datetime) -> Standing:
        """Judge when it was done, or as long as it was not the moment of asking."""
        if done_at is not None and done_at < self.since:
            return Misdated(done_at)
        # So soon after the beginning no calendar can make it late. Asked before the last moment is,
        # which an unpublished year leaves unknown.
        if done_at is not None and surely_within(self.since, done_at, self.days):
            return InTime()
        last = self.last_moment
        if last is None:
            return Unknown(county_day(self.since))
        if (done_at or now) > last:
            return Late(last, done_at)
        return Pending(last) if done_at is None else InTime()
