"""The states of rows that a bundle's entries tell of: every one, and the last of each row."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.bundle.reading import GivenEntry

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class States:
    """Rows as entries logged them, by table and key; `last` holds {} for a row that is gone."""

    last: Mapping[tuple[str, str], State] = field(default_factory=dict)
    every: tuple[tuple[GivenEntry, str, str, State], ...] = ()

    @classmethod
    def from_entries(cls, entries: Iterable[GivenEntry]) -> "States":
        """Gather them from entries in the order of their numbers."""
        # In the order of numbers, so that of one row's states the last one wins below.
        every = tuple(
            (entry, row["table"], row["key"], row["state"] or {})
            for entry in entries
            for row in (entry.details or {}).get("rows", ())
        )
        return cls({(table, key): state for _, table, key, state in every}, every)

    def of_table(self, table: str) -> Iterator[State]:
        """Yield the last state of each row of a table that is still there."""
        for (name, _), state in self.last.items():
            if name == table and state:
                yield state

    def list_states(self, table: str, key: str) -> Iterator[tuple[GivenEntry, State]]:
        """Yield every state of a row, with its entry."""
        for entry, name, row_key, state in self.every:
            if (name, row_key) == (table, key) and state:
                yield entry, state
