r"""Random draws (双随机) that anyone can repeat: who inspects whom, and what is reviewed.

The seed is published beforehand (a lottery result, a share index, a hash given out the day
before). Everybody then ranks the population by SHA-256 and takes the first ones; nothing else
enters, neither order nor time. To repeat a draw:

    import hashlib
    rank = lambda id: hashlib.sha256(f"{purpose}\n{seed}\n{id}".encode()).hexdigest()
    chosen = sorted(set(ids), key=rank)[:count]

Publishing seeds and results is left to others. Source: 兴隆县指导意见 第十条 (双随机、一公开).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class RandomDraw:
    """One draw with all that it takes to repeat it.

    `population` is the SHA-256 of the sorted ids, a line each (`LC_ALL=C sort -u | sha256sum`):
    whoever adds an id later cannot make the draw look as if that had been in it.
    """

    purpose: str
    seed: str
    count: int
    size: int
    population: str
    chosen: tuple[str, ...]

    def matches_population(self, population: Iterable[str]) -> bool:
        """Tell whether the same draw from this population has the same result."""
        return record_draw(self.seed, population, self.count, self.purpose) == self


@dataclass(frozen=True, slots=True)
class Pairing:
    """Inspectors for every object; `short` names objects for which exclusions left too few."""

    purpose: str
    seed: str
    per_object: int
    inspectors: str
    objects: str
    assigned: Mapping[str, tuple[str, ...]]
    short: tuple[str, ...]


def draw_ids(seed: str, population: Iterable[str], count: int, purpose: str) -> tuple[str, ...]:
    """Return `count` ids in the order drawn; all of them where there are no more.

    Raises: ValueError for a negative count, an empty seed, or a text of several lines.
    """
    if count < 0:
        raise ValueError("a draw takes no fewer than none")
    for line in (seed, purpose):
        _one_line(line)
    ids = _sort_population(population)
    # Equal digests would be a collision of SHA-256; the id decides then, for everybody alike.
    return tuple(
        sorted(ids, key=lambda member: (_rank_member(purpose, seed, member), member))[:count]
    )


def record_draw(seed: str, population: Iterable[str], count: int, purpose: str) -> RandomDraw:
    """Return the draw with all that it takes to repeat it. Raises: ValueError, as `draw`."""
    ids = _sort_population(population)
    chosen = draw_ids(seed, ids, count, purpose)
    return RandomDraw(purpose, seed, count, len(ids), digest_population(ids), chosen)


def pair_inspectors(
    seed: str,
    inspectors: Iterable[str],
    objects: Iterable[str],
    per_object: int = 2,
    excluded: Mapping[str, Collection[str]] | None = None,
    *,
    purpose: str = "inspectors",
) -> Pairing:
    """Draw inspectors for every object, without those who must stay away from it (回避).

    Each object has a draw of its own, for the purpose `<purpose> for <object>`: to take an object
    out changes nothing for the others. Raises: ValueError, as `draw`.
    """
    people = _sort_population(inspectors)
    targets = _sort_population(objects)
    barred = excluded or {}
    # Who is barred is left out before the draw, so that the next in rank follows, and nobody
    # chooses a substitute.
    assigned = {
        target: draw_ids(
            seed,
            [person for person in people if person not in barred.get(target, ())],
            per_object,
            f"{purpose} for {target}",
        )
        for target in targets
    }
    return Pairing(
        purpose=purpose,
        seed=seed,
        per_object=per_object,
        inspectors=digest_population(people),
        objects=digest_population(targets),
        assigned=assigned,
        short=tuple(target for target in targets if len(assigned[target]) < per_object),
    )


def digest_population(population: Iterable[str]) -> str:
    """Return the SHA-256 of the sorted ids, one a line. Raises: ValueError, as `draw`."""
    # Each id ends its line, the last one too: that is what `sort -u` writes, so that anybody can
    # repeat it in a shell.
    return sha256(
        "".join(f"{member}\n" for member in _sort_population(population)).encode()
    ).hexdigest()


def _rank_member(purpose: str, seed: str, member: str) -> str:
    # The line ends keep the three apart: joined without them, one draw's seed and id could be split
    # otherwise and be another draw's.
    return sha256(f"{purpose}\n{seed}\n{member}".encode()).hexdigest()


def _sort_population(ids: Iterable[str]) -> Sequence[str]:
    members = sorted(set(ids))
    for member in members:
        _one_line(member)
    return members


def _one_line(text: str) -> None:
    """Refuse what would let one text be read as two: lines are what separates them."""
    if not text or "\n" in text or "\r" in text:
        raise ValueError("ids, seeds and purposes are texts of one line")
