"""One measured figure beside its peer or its limit, as a ratio."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours over the peer's (more is better) or, `at_most`, ours over the limit.

    Without a target the figure is told and not judged. Without a ratio nothing was measured.
    """

    what: str
    ours: str
    peer: str
    ratio: float | None
    target: float | None = None
    note: str = ""
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none, or nothing was measured."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def text(self) -> str:
        """Return two lines for people."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.3f}"
        target = "" if self.target is None else f"{'<=' if self.at_most else '>='} {self.target:g}"
        verdict = {True: "met", False: "NOT met", None: ""}[self.met]
        if self.ratio is None:
            verdict = "NOT MEASURED"
        line = f"{self.what:<32} {self.ours:>10}  {self.peer:<34} {ratio:>6} {target:<8} {verdict}"
        return line.rstrip() + (f"\n    {self.note}" if self.note else "")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"met": self.met}


def within(what: str, found: float, limit: float, unit: str, note: str = "") -> Result:
    """Return a figure that has an upper limit."""
    ours, peer = f"{found:.{2 if found < 1 else 1}f} {unit}", f"limit {limit:g} {unit}"
    return Result(what, ours, peer, found / limit, 1.0, note, at_most=True)


def unmeasured(what: str, note: str) -> Result:
    """Return that a figure could not be measured here, and why."""
    return Result(what, "-", "-", None, None, note)
