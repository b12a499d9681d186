"""One measured figure beside its peer or limit."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours over the peer's unless `at_most`: then it is a figure with an upper limit."""

    what: str
    ours: str
    peer: str
    ratio: float
    target: float
    note: str = ""
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def line(self) -> str:
        """Return one line for people."""
        sign = "<=" if self.at_most else ">="
        verdict = "met" if self.met else "NOT met"
        note = f"  ({self.note})" if self.note else ""
        return (
            f"{self.what:<28} {self.ours:<16} {self.peer:<42} "
            f"{self.ratio:8.2f} {sign} {self.target:<6g} {verdict}{note}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"met": self.met}
