"""docs/ATTACKS.md, made of the attacks themselves: `python -m tests.attacks.listing` writes it."""

from pathlib import Path

from tests.attacks.attack import Attack, every_attack, every_undetected

PAGE = Path(__file__).parents[2] / "docs" / "ATTACKS.md"
_HEAD = """# Attacks

Made by `make attacks`, which carries each of them out on a real office or its bundle and fails when one is not named.
Each has a control: the same thing, put together or signed again with nothing changed, passes. *Level* is that of
[spec/bundle.md](spec/bundle.md); *8c2c158* tells whether the edition that outsiders attacked first named it.

| what is attacked | what is done | with | level | named by | 8c2c158 |
|---|---|---|---|---|---|
"""
_UNDETECTED = """
## What stays undetected

"""


def page() -> str:
    """Return the page."""
    rows = "".join(_row(one) for one in every_attack())
    rest = "".join(f"- {one}\n" for one in every_undetected())
    return f"{_HEAD}{rows}{_UNDETECTED}{rest}"


def _row(one: Attack) -> str:
    level = "-" if one.level is None else f"L{one.level}"
    before = "named" if one.held_before else "passed"
    cells = (one.asset, one.act, one.means.value, level, one.check, before)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
