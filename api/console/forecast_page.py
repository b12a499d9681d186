"""Forecast page: reminders as lists, the store's fill as a plot."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from api.console.rendering import render
from api.http.forecast import present_outlook, read_outlook
from api.http.security import ServiceHere, VisitorHere
from api.office.reports.forecast import Outlook
from policies.retention.capacity import WEEK

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_EVERY = 13  # weeks between two dates under the plot


@dataclass(frozen=True, slots=True)
class Plot:
    """A curve in a box of 100 by 40, the origin above: its points, its ceiling, its dates."""

    line: str
    ceiling: float | None
    dates: list[datetime]
    most: int


@router.get("/outlook")
def outlook_page(service: ServiceHere, visitor: VisitorHere) -> Response:
    """Show what is coming in the visitor's township, or in the county."""
    outlook = read_outlook(service, visitor)
    return render(
        "outlook.html", visitor, outlook=present_outlook(outlook), plot=plot_forecast(outlook)
    )


def plot_forecast(outlook: Outlook) -> Plot:
    """Return the forecast as a curve; the ceiling is drawn where the curve comes near it."""
    weeks = outlook.forecast.weeks
    # Of a store that is almost empty the ceiling would press the curve flat.
    near = outlook.capacity if outlook.capacity and max(weeks) > outlook.capacity * 0.5 else None
    # At least one byte: an empty office has a curve too, along the bottom.
    most = max(*weeks, near or 1, 1)
    across = 100 / (len(weeks) - 1)
    return Plot(
        line=" ".join(
            f"{n * across:.2f},{40 - 40 * size / most:.2f}" for n, size in enumerate(weeks)
        ),
        ceiling=40 - 40 * near / most if near else None,
        dates=[outlook.at + n * WEEK for n in range(0, len(weeks), _EVERY)],
        most=most,
    )
