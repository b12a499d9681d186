"""docs/ATTACKS.md, made of the attacks as data: `python -m tests.attacks.listing` writes it."""

from pathlib import Path

from tests.attacks.attack import Attack, every_attack, every_undetected

PAGE = Path(__file__).parents[2] / "docs" / "ATTACKS.md"
_HEAD = """# Attacks, and who names them

Made by `make attacks`, which carries each of them out, and a control that passes unattacked; `make test` runs a sample.
What is attacked, what is done to it, with what in hand; at which level of [bundle.md](spec/bundle.md), and by which check,
it is named (`-`: no bundle shows it, the named check does); and whether commit 8c2c158, where the trials began, held.

{count} attacks; 8c2c158 named {before} of them.

| asset | act | with | level | named by | held on 8c2c158 |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the text of docs/ATTACKS.md."""
    attacks = every_attack()
    before = sum(one.held_before for one in attacks)
    rows = "".join(map(_row, attacks))
    told = "".join(f"- {' '.join(one.split())}\n" for one in every_undetected())
    return (
        _HEAD.format(count=len(attacks), before=before)
        + rows
        + f"\n## What stays undetected\n\n{told}"
    )


def _row(one: Attack) -> str:
    level = "-" if one.level is None else f"L{one.level}"
    held = "yes" if one.held_before else "no"
    return f"| {one.asset} | {one.act} | {one.means} | {level} | {one.check} | {held} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
