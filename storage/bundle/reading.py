"""A bundle's files, read as what they should be; everything in them is hostile."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from policies.rules.rulebook import read_rulebook
from policies.rules.rules import Rulebook
from storage.bundle.keys import Keys
from storage.custody.checkpoint import Checkpoint, log_keys, open_checkpoint
from storage.custody.entries.event import parse_leaf
from storage.custody.merkle.proof import Proof
from storage.custody.verify import verify_details
from storage.record import SealedRecord
from storage.signed import canonical


@dataclass(frozen=True, slots=True)
class GivenEntry:
    """An entry as the bundle gives it: not proven yet. `details` is None where it stays closed."""

    index: int
    leaf: bytes
    entry: Mapping[str, Any]
    details: Mapping[str, Any] | None
    proof: str | None  # its own tlog-proof, in bundles of version 1


class BundleFiles:
    """The files of one bundle, by what they hold; each method raises what hostile files bring."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self.data = root / "data"
        self.keys = keys
        self._records: dict[str, SealedRecord] = {}
        self._rulebooks: dict[str, Rulebook] = {}

    @cached_property
    def statement(self) -> Mapping[str, Any]:
        """The body of `bundle.json`, unverified."""
        body: Mapping[str, Any] = canonical.decode((self.root / "bundle.json").read_bytes())["body"]
        return body

    @property
    def version(self) -> int:
        """The version of the bundle's format, as its statement says."""
        return int(self.statement["v"])

    def read_case(self) -> dict[str, Any]:
        """Return the case, as `case.json` tells it."""
        return self.read_json("case.json")

    def read_json(self, path: str) -> dict[str, Any]:
        """Return a JSON object below `data/`."""
        document = json.loads((self.data / path).read_bytes())
        if not isinstance(document, dict):
            raise ValueError(path)  # noqa: TRY004 - what is bad is the value
        return document

    def list_recordings(self) -> list[Path]:
        """Return the folder of each recording."""
        return sorted((self.data / "recordings").glob("*"))

    def list_actions(self) -> list[Path]:
        """Return the folder of each action."""
        return sorted((self.data / "actions").glob("*"))

    def read_record(self, recording: str) -> SealedRecord:
        """Return a recording's sealed record, verified under the stations' keys."""
        if recording not in self._records:
            content = (self.data / "recordings" / recording / "record.json").read_bytes()
            # Once: signatures of one record are asked for by several checks.
            self._records[recording] = SealedRecord.verify(content, self.keys.stations)
        return self._records[recording]

    def load_rulebook(self, digest: str) -> Rulebook:
        """Return a rulebook by the folder that bears its digest. Raises: RuleError."""
        if digest not in self._rulebooks:
            self._rulebooks[digest] = read_rulebook(self.data / "rulebook" / digest)
        return self._rulebooks[digest]

    @cached_property
    def head(self) -> Checkpoint:
        """The bundle's checkpoint, verified under the log's keys."""
        return self._open_head((self.data / "custody" / "checkpoint").read_text(encoding="utf-8"))

    def receipt_heads(self) -> Iterator[Checkpoint]:
        """Yield the checkpoint of each receipt, verified under the log's keys."""
        for folder in self.list_recordings():
            body = canonical.decode((folder / "receipt.json").read_bytes())["body"]
            yield self._open_head(Proof.parse(body["proof"]).checkpoint)

    @cached_property
    def entries(self) -> list[GivenEntry]:
        """The entries in order, each opened by its readable half where that is given."""
        entries = [
            self._parse_entry(json.loads(line)) for line in self._read_lines("entries.jsonl")
        ]
        numbers = [entry.index for entry in entries]
        # In order, and none twice: every check walks over them as over the log.
        if numbers != sorted(set(numbers)):
            raise ValueError("entries.jsonl: not in the order of their numbers, or one twice")
        return entries

    def read_leaves(self) -> Iterator[bytes]:
        """Every entry of the log, in bundles of version 1."""
        return self._read_lines("leaves.jsonl")

    def read_nodes(self) -> dict[tuple[int, int], bytes]:
        """Return the nodes of the log's tree that prove the entries."""
        nodes = {}
        for line in self._read_lines("nodes.jsonl"):
            level, index, text = json.loads(line)
            nodes[int(level), int(index)] = base64.b64decode(text, validate=True)
        return nodes

    def _parse_entry(self, fields: Mapping[str, Any]) -> GivenEntry:
        leaf = str(fields["leaf"]).encode()
        entry = parse_leaf(leaf)
        details = fields.get("details")
        if details is not None:
            # Before anybody reads the details: whatever the writer says, they open the leaf's
            # digest.
            verify_details(entry, details, base64.b64decode(fields["salt"]))
        return GivenEntry(int(fields["index"]), leaf, entry, details, fields.get("proof"))

    def _read_lines(self, name: str) -> Iterator[bytes]:
        with (self.data / "custody" / name).open("rb") as file:
            for line in file:
                # Nothing but the newline goes: of version 1 these are leaves, whose exact bytes are
                # hashed.
                yield line.removesuffix(b"\n")

    def _open_head(self, text: str) -> Checkpoint:
        return open_checkpoint(text, log_keys(self.keys.log, self.keys.log.name))
