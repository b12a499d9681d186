"""Verify a bundle offline: no database, no network, nothing of ours but this code and the rules.

What is believed: the public keys. They are those of `trusted`, a folder that the reviewer got by
another way, or else those in the bundle itself, and then the report says so and names them.
From there on everything is derived: every byte by the manifests and the centre's signature on
them; every original by its station's signed record; every custody entry by its proof, the log's
completeness by recomputing the signed root over all leaves; the facts by the states that the log
holds and the records; the findings by running the rules again.
"""

import base64
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.facts import ActionFacts
from policies.rulebook import RuleError, load
from storage import canonical
from storage.bundle.bag import MANIFEST, digest_of, problems
from storage.bundle.facts_check import against_log, against_records
from storage.bundle.report import Check, Report
from storage.bundle.write import BUNDLE_DOMAIN, detached
from storage.custody import tree
from storage.custody.checkpoint import Checkpoint, log_keys, open_checkpoint
from storage.custody.event import parse_leaf
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT
from storage.custody.origin import check_change
from storage.custody.proof import Proof
from storage.custody.verify import verify_details, verify_entry
from storage.errors import LiuhenError
from storage.record import RECEIPT_DOMAIN, RECORD_DOMAIN, Receipt, SealedRecord
from storage.signing import VerifyKey, verify_document

# What hostile bundles make our readers raise; everything else is a defect of ours.
_BAD = (LiuhenError, RuleError, OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Keys:
    """Whom the verification believes."""

    stations: tuple[VerifyKey, ...]
    centre: VerifyKey
    log: VerifyKey

    @classmethod
    def load(cls, folder: Path) -> "Keys":
        """Read `*.verify` files. Raises: KeyRingError, OSError, ValueError, KeyError."""
        found = {
            path.stem: VerifyKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.verify"))
        }
        stations = tuple(key for name, key in found.items() if name.startswith("station-"))
        return cls(stations, found["centre"], found["log"])

    def with_later_origins(self, folder: Path) -> "Keys":
        """Return the keys with the origins that the bundle says the log took on since.

        Its own word for them is not believed: `_Bundle.entries` wants each in the log itself.
        """
        try:
            own = Keys.load(folder).log
        except _BAD:
            return self
        known = len(self.log.former)
        same = own.is_same_key(self.log) and own.former[:known] == self.log.former
        return replace(self, log=own) if same and own.names[: known + 1] == self.log.names else self

    @property
    def told(self) -> str:
        """Name every key by its id, to be compared by people."""
        signers = (self.centre, self.log, *self.stations)
        return ", ".join(f"{key.name} {key.kid}" for key in signers)


def verify(root: Path, trusted: Path | None = None) -> Report:
    """Check a bundle folder; never raises for what the bundle holds."""
    report = Report()
    _add(report, "bag", "文件完整无改动", "every file is as listed", lambda: list(problems(root)))
    try:
        keys = Keys.load(trusted or root / "data" / "keys")
    except _BAD as error:
        report.checks.append(Check("keys", "公钥可用", "public keys", (_told(error),)))
        return report
    if trusted is not None:
        keys = keys.with_later_origins(root / "data" / "keys")
    where = "由核验人另行提供" if trusted else "取自证据包,请与公布的指纹核对"
    report.checks.append(Check("keys", "公钥", "public keys", note=f"{where} {keys.told}"))
    bundle = _Bundle(root, keys)
    for name, zh, en, check in (
        ("statement", "中心签名的清单", "the centre signed this manifest", bundle.statement),
        ("records", "封存记录与原件一致", "originals are what stations sealed", bundle.records),
        ("receipts", "入库回执有效", "receipts hold", bundle.receipts),
        ("log", "监管链日志根值一致", "the log's root is the signed one", bundle.log),
        ("entries", "条目齐全、内容未改", "entries complete and unchanged", bundle.entries),
        ("facts", "事实与日志、记录一致", "facts agree with log and records", bundle.facts),
        ("findings", "规则重新计算结论一致", "rules give the same findings", bundle.findings),
    ):
        _add(report, name, zh, en, check)
    return report


def _add(report: Report, name: str, zh: str, en: str, check: Callable[[], Iterable[str]]) -> None:
    try:
        found = tuple(check())
    except _BAD as error:
        found = (_told(error),)
    report.checks.append(Check(name, zh, en, found))


class _Bundle:
    """One bundle being checked."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._root = root
        self._data = root / "data"
        self._keys = keys

    def statement(self) -> Iterable[str]:
        body = verify_document(
            (self._root / "bundle.json").read_bytes(), BUNDLE_DOMAIN, [self._keys.centre]
        )
        wrong = []
        if body["manifest"]["sha-256"] != digest_of(self._root / MANIFEST):
            wrong.append(f"{MANIFEST}: not the one that was signed")
        if body["checkpoint"]["sha-256"] != digest_of(self._data / "custody" / "checkpoint"):
            wrong.append("custody/checkpoint: not the one that was signed")
        if body["case"] != self._case()["id"]:
            wrong.append("case.json: another case")
        return wrong

    def records(self) -> Iterator[str]:
        for folder in self._recordings():
            try:
                yield from self._record(folder)
            except _BAD as error:
                yield f"{folder.name}: {_told(error)}"

    def _record(self, folder: Path) -> Iterator[str]:
        data = (folder / "record.json").read_bytes()
        record = SealedRecord.verify(data, self._keys.stations)
        if record.recording != folder.name:
            yield f"{folder.name}: the record is of {record.recording}"
        if digest_of(folder / "envelope.json") != record.envelope_digest.hex:
            yield f"{folder.name}: envelope changed"
        if (folder / "payload").exists():
            if digest_of(folder / "payload") != record.payload_digest.hex:
                yield f"{folder.name}: payload changed"
        else:
            (original,) = (folder / "original").iterdir()
            same = original.stat().st_size == record.size
            if not same or digest_of(original) != record.original.hex:
                yield f"{folder.name}: original changed ({original.name})"
        yield from _detached(folder, "record", RECORD_DOMAIN)

    def receipts(self) -> Iterator[str]:
        for folder in self._recordings():
            try:
                data = (folder / "receipt.json").read_bytes()
                receipt = Receipt.verify(data, self._keys.centre, self._keys.log)
                sealed = (folder / "record.json").read_bytes()
                record = SealedRecord.verify(sealed, self._keys.stations)
            except _BAD as error:
                yield f"{folder.name}: {_told(error)}"
                continue
            if not receipt.covers(sealed, record.original, record.size):
                yield f"{folder.name}: the receipt is for another record"
            yield from _detached(folder, "receipt", RECEIPT_DOMAIN)

    def log(self) -> Iterator[str]:
        """Recompute every signed root that the bundle holds over all leaves."""
        heads = {head.size: head for head in self._receipt_heads()}
        newest = self._head()
        if any(size > newest.size for size in heads):
            yield "a receipt is newer than the checkpoint"
        heads.setdefault(newest.size, newest)
        for former in self._keys.log.former:
            if former.size <= newest.size:
                last = Checkpoint(former.origin, former.size, former.root)
                if heads.setdefault(former.size, last).root != former.root:
                    yield f"two heads of size {former.size}"
        walk = tree.Frontier()
        for leaf in self._leaves():
            walk.add(tree.leaf_hash(leaf))
            head = heads.get(walk.size)
            if head is not None and head.root != walk.root():
                yield f"the leaves do not lead to the signed root of size {head.size}"
        if walk.size != newest.size or heads[newest.size].root != newest.root:
            yield f"{walk.size} leaves, but the checkpoint says {newest.size}"

    def entries(self) -> Iterator[str]:
        """Every entry opens; and no leaf about this case was left out."""
        note_keys = log_keys(self._keys.log, self._keys.log.name)
        newest = self._head()
        given: dict[int, Mapping[str, Any]] = {}
        for told in self._entries():
            index = told["index"]
            found = verify_entry(told["leaf"], told["proof"], note_keys)
            if found.index != index or found.head != newest:
                yield f"entry {index}: proven under another number or head"
            verify_details(found.entry, told["details"], base64.b64decode(told["salt"]))
            given[index] = told
        yield from self._origins(given, newest)
        subjects = self._subjects()
        for index, leaf in enumerate(self._leaves()):
            if index not in given and parse_leaf(leaf)["subject"] in subjects:
                yield f"entry {index}: about this case, but left out"

    def _origins(self, given: Mapping[int, Mapping[str, Any]], newest: Checkpoint) -> Iterator[str]:
        """Every origin that the log gave up before this head, as its own entry says."""
        for number, former in enumerate(self._keys.log.former):
            if newest.size <= former.size:
                continue
            told = given.get(former.size)
            if told is None:
                yield f"entry {former.size}: the log's change of origin is left out"
                continue
            entry = parse_leaf(told["leaf"].encode())
            check_change(former.size, entry, told["details"], self._keys.log, number)

    def facts(self) -> Iterator[str]:
        states = _last_states(self._entries())
        records = {
            folder.name: SealedRecord.verify(
                (folder / "record.json").read_bytes(), self._keys.stations
            )
            for folder in self._recordings()
        }
        for folder in self._actions():
            facts = ActionFacts.from_json(_json(folder / "facts.json"))
            yield from against_log(folder.name, facts, states)
            yield from against_records(facts, records, states)

    def findings(self) -> Iterator[str]:
        rulebook = load(self._data / "rulebook")
        for folder in self._actions():
            facts = ActionFacts.from_json(_json(folder / "facts.json"))
            again = canonical.encode(rulebook.evaluate(facts).to_json())
            if again != canonical.encode(_json(folder / "findings.json")):
                yield f"{folder.name}: the rules find something else"

    def _case(self) -> dict[str, Any]:
        found = _json(self._data / "case.json")
        if not isinstance(found, dict):
            raise ValueError("case.json")  # noqa: TRY004 - what is bad is the value
        return found

    def _recordings(self) -> list[Path]:
        return sorted((self._data / "recordings").glob("*"))

    def _actions(self) -> list[Path]:
        return sorted((self._data / "actions").glob("*"))

    def _subjects(self) -> set[str]:
        found = {f"case:{self._case()['id']}", ORIGIN_SUBJECT}
        found |= {f"recording:{folder.name}" for folder in self._recordings()}
        for folder in self._actions():
            found.add(f"action:{folder.name}")
            officers = _json(folder / "facts.json")["officers"]
            found |= {f"person:{one['id']}" for one in officers}
        return found

    def _head(self) -> Checkpoint:
        text = (self._data / "custody" / "checkpoint").read_text(encoding="utf-8")
        return open_checkpoint(text, log_keys(self._keys.log, self._keys.log.name))

    def _receipt_heads(self) -> Iterator[Checkpoint]:
        keys = log_keys(self._keys.log, self._keys.log.name)
        for folder in self._recordings():
            body = canonical.decode((folder / "receipt.json").read_bytes())["body"]
            yield open_checkpoint(Proof.parse(body["proof"]).checkpoint, keys)

    def _leaves(self) -> Iterator[bytes]:
        with (self._data / "custody" / "leaves.jsonl").open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")

    def _entries(self) -> Iterator[dict[str, Any]]:
        with (self._data / "custody" / "entries.jsonl").open("rb") as file:
            for line in file:
                told = json.loads(line)
                if not isinstance(told, dict):
                    raise ValueError("entries.jsonl")  # noqa: TRY004 - what is bad is the value
                yield told


def _last_states(entries: Iterator[dict[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the last logged state of every row that the entries tell of."""
    states: dict[tuple[str, str], Mapping[str, Any]] = {}
    for told in sorted(entries, key=lambda one: one["index"]):
        for row in told["details"].get("rows", ()):
            states[row["table"], row["key"]] = row["state"] or {}
    return states


def _detached(folder: Path, name: str, domain: str) -> Iterator[str]:
    """Yield copies for other tools that do not say what the document says."""
    message, signature = detached((folder / f"{name}.json").read_bytes(), domain)
    if (folder / f"{name}.message").read_bytes() != message:
        yield f"{folder.name}: {name}.message changed"
    if (folder / f"{name}.ed25519").read_bytes() != signature:
        yield f"{folder.name}: {name}.ed25519 changed"


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _told(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__


def main(arguments: Sequence[str]) -> int:
    """Verify the bundle named by the first argument; a second one names a folder of keys."""
    if len(arguments) not in {1, 2}:
        sys.stderr.write("usage: python -m storage.bundle.verify BUNDLE [KEYS]\n")
        return 2
    report = verify(Path(arguments[0]), Path(arguments[1]) if arguments[1:] else None)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
