"""How much a pattern may cost: an upper bound for a matcher that goes back and tries again.

Names on a card are an attacker's, and `re` needs exponential time for patterns such as `(a+)+x`.
A profile of an office is therefore read only if this bound stays small. The bound is crude: it
multiplies the ways in which each part may match, whether or not they exclude each other.
"""

import re

_LONGEST_NAME = 255  # characters of a shown name (`ingest/sources/names.py`)
MOST_TRIES = 10**8  # the worst patterns below it took 0.2 s a name; shipped ones count to 7 * 10**7
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(?:(\d+)|(\d*),(\d*))\})[?+]?")
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_FLAGS = re.compile(r"\(\?[is]+\)")


class UnreadPatternError(ValueError):
    """A part of a pattern that is not counted, such as a look-ahead; the text is that part."""


def count_tries(pattern: str) -> int:
    """Return a bound of the ways in which a pattern that compiles is tried on one name.

    Beyond `MOST_TRIES` only that it is more. Raises: UnreadPatternError, RecursionError.
    """
    flags = _FLAGS.match(pattern)
    return _Counter(pattern, flags.end() if flags else 0).count_alternatives()


class _Counter:
    """Reads a pattern from left to right; `re.compile` has accepted it before."""

    def __init__(self, pattern: str, start: int) -> None:
        self._pattern = pattern
        self._at = start

    def count_alternatives(self) -> int:
        tries = self._count_sequence()
        while self._next_char() == "|":
            self._at += 1
            tries += self._count_sequence()
        return tries

    def _count_sequence(self) -> int:
        tries = 1
        while self._next_char() not in {"", "|", ")"}:
            tries = min(tries * self._count_piece(), MOST_TRIES + 1)
        return tries

    def _count_piece(self) -> int:
        is_group = self._next_char() == "("
        tries = self._count_atom()
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None:
            return tries
        self._at = match.end()
        least, most = _read_limits(match)
        if most > _LONGEST_NAME:
            raise UnreadPatternError(match[0])
        # A repeated group is tried anew in each round, whatever was tried in those before it, and
        # even an empty one takes its rounds: `((){255}){255}` matches nothing 65,025 times.
        rounds = most if is_group else 1
        combined: int = tries**most
        return min(combined * max(most - least + 1, rounds), MOST_TRIES + 1)

    def _count_atom(self) -> int:
        char = self._next_char()
        if char == "(":
            group = _GROUP.match(self._pattern, self._at)
            if group is None:
                raise UnreadPatternError(self._pattern[self._at : self._at + 4])
            self._at = group.end()
            tries = self.count_alternatives()
        else:
            tries = 1
            if char == "[":
                self._skip_class()
            elif char == "\\":
                self._at += 1
        self._at += 1
        return tries

    def _skip_class(self) -> None:
        """Go to the bracket that closes a class; one that stands first in it closes nothing."""
        self._at += 1
        if self._next_char() == "^":
            self._at += 1
        if self._next_char() == "]":
            self._at += 1
        while self._next_char() not in {"", "]"}:
            self._at += 2 if self._next_char() == "\\" else 1

    def _next_char(self) -> str:
        return self._pattern[self._at : self._at + 1]


def _read_limits(quantifier: re.Match[str]) -> tuple[int, int]:
    """Return how often a part is repeated at least and at most; without an end: a name's length."""
    exact, least, most = quantifier.groups()
    if exact is not None:
        return int(exact), int(exact)
    if least is not None:
        return int(least or 0), int(most) if most else max(_LONGEST_NAME, int(least or 0))
    return {"*": (0, _LONGEST_NAME), "+": (1, _LONGEST_NAME), "?": (0, 1)}[quantifier[0][0]]
