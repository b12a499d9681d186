"""Verify an evidence bundle without Liuhen: the standard library and `cryptography`, nothing else.

usage: python verify_bundle.py BUNDLE [KEYS]

Levels 1 and 2 of docs/spec/bundle.md (version 2), written from docs/spec alone. BUNDLE is a folder.
KEYS is a folder with the public keys that the reader had from elsewhere: `centre.verify`,
`log.verify`, `station-*.verify`; without it the bundle's own are taken. Prints every check with
its level; exit status 0 when all of them passed, 1 when one did not.
"""

import base64
import hashlib
import json
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

GUIDES = {"f9607bc009d01cca1601102f2dc6c9843b17d1ca4beab6ffe304c690b88de10b"}  # bundle.md section 1
# What computers add beside a bundle.
LITTER = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*|__MACOSX/(?:[^/]+/)*\._[^/]*")
CHANGE_ORIGIN, ORIGIN, RULEBOOK = "log.change-origin", "system:log-origin", "rulebook:office"
SET_CLOCK = ("log.clock", "system:clock")


class WrongError(Exception):
    """Something in the bundle is not as its statement, its log or its signatures have it."""


def demand(holds: object, problem: str) -> None:
    """Raise WrongError with the problem unless the condition holds."""
    if not holds:
        raise WrongError(problem)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def named(data: bytes) -> str:
    return "sha-256:" + sha256(data).hex()


def b64(text: str) -> bytes:
    """Decode base64 of one spelling only (sealed-object.md section 5)."""
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "base64 with another spelling")
    return data


# --- Canonical JSON: RFC 8785 -------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    return "".join(_canonical(value)).encode()


def _canonical(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        yield "{"
        for n, (name, member) in enumerate(members):
            yield ("," if n else "") + json.dumps(name, ensure_ascii=False) + ":"
            yield from _canonical(member)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for n, member in enumerate(value):
            yield "," if n else ""
            yield from _canonical(member)
        yield "]"
    elif isinstance(value, float):
        yield _number(value)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Return a number as ECMAScript writes it (RFC 8785 section 3.2.2.3)."""
    demand(value == value and abs(value) != float("inf"), "not a number")  # noqa: PLR0124
    if value == 0:
        return "0"
    sign, shown = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = shown.partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def exact(data: bytes) -> Any:
    """Read JSON that has to be the canonical encoding of itself."""
    value = json.loads(data)
    demand(canonical(value) == data, "JSON that is not canonical")
    return value


# --- Keys and signatures: sealed-object.md section 5, custody-log.md section 4 -------------------


@dataclass(frozen=True)
class Key:
    """A public key pair, as a `*.verify` file has it."""

    name: str
    ed25519: bytes
    ml_dsa: bytes
    former: tuple[dict[str, Any], ...] = ()

    @property
    def fingerprint(self) -> str:
        return sha256(self.ed25519, self.ml_dsa).hex()

    @property
    def kid(self) -> str:
        return self.fingerprint[:16]

    def same_pair(self, other: "Key") -> bool:
        return (self.ed25519, self.ml_dsa) == (other.ed25519, other.ml_dsa)

    def verify_ed25519(self, signature: bytes, message: bytes) -> None:
        ed25519.Ed25519PublicKey.from_public_bytes(self.ed25519).verify(signature, message)

    def verify_ml_dsa(self, signature: bytes, message: bytes) -> None:
        mldsa.MLDSA44PublicKey.from_public_bytes(self.ml_dsa).verify(signature, message)


def read_key(path: Path) -> Key:
    return read_key_text(path.read_bytes())


def read_key_text(text: str | bytes) -> Key:
    told = json.loads(text)
    former = tuple(told.get("former", ()))
    key = Key(told["name"], b64(told["Ed25519"]), b64(told["ML-DSA-44"]), former)
    demand(key.kid == told["kid"], f"{told['name']}: kid is of another key")
    return key


@dataclass(frozen=True)
class Keys:
    """The public keys of one office, by what they sign."""

    centre: Key
    log: Key
    stations: tuple[Key, ...]

    @classmethod
    def read(cls, folder: Path) -> "Keys":
        stations = tuple(read_key(path) for path in sorted(folder.glob("station-*.verify")))
        return cls(read_key(folder / "centre.verify"), read_key(folder / "log.verify"), stations)


def read_signed(raw: bytes, domain: str, keys: Iterable[Key]) -> Any:
    """Return the body of a document that carries both signatures of one of the keys."""
    document = exact(raw)
    demand(set(document) == {"body", "signatures"}, "members beside body and signatures")
    signatures = document["signatures"]
    demand([one["alg"] for one in signatures] == ["Ed25519", "ML-DSA-44"], "other signatures")
    demand(all(set(one) == {"alg", "kid", "sig"} for one in signatures), "other signatures")
    (kid,) = {one["kid"] for one in signatures}
    key = next((key for key in keys if key.kid == kid), None)
    demand(key, f"signed by a key that is not trusted here: {kid}")
    message = message_of(domain, document["body"])
    key.verify_ed25519(b64(signatures[0]["sig"]), message)
    key.verify_ml_dsa(b64(signatures[1]["sig"]), message)
    return document["body"]


def message_of(domain: str, body: Any) -> bytes:
    return f"liuhen/{domain}\n".encode() + canonical(body)


@dataclass(frozen=True)
class Head:
    """A checkpoint of the log."""

    origin: str
    size: int
    root: bytes
    text: bytes
    ed25519: bytes


def read_head(note: bytes, log: Key) -> Head:
    """Return a checkpoint that the log signed twice, under its name or an earlier one."""
    text, _, signatures = note.decode().partition("\n\n")
    demand(re.fullmatch(r"[^\n]+\n(0|[1-9][0-9]{0,17})\n[^\n]+", text), "not a checkpoint")
    origin, size, root = text.split("\n")
    former = {one["origin"]: one["size"] for one in log.former}
    demand(origin == log.name or int(size) <= former.get(origin, -1), f"a log named {origin}")
    values = {}
    for line in signatures.removesuffix("\n").split("\n"):
        dash, name, value = line.split(" ")
        demand(dash == "—", "not a signature line")
        if name == origin:
            values[b64(value)[:4]] = b64(value)[4:]
    name, message = origin.encode(), text.encode() + b"\n"
    first = values.get(sha256(name, b"\n\x01", log.ed25519)[:4])
    second = values.get(sha256(name, b"\n\x06", log.ml_dsa)[:4])
    demand(first and second, "a signature of the log is missing")
    log.verify_ed25519(first, message)
    log.verify_ml_dsa(
        second[8:],
        b"subtree/v1\n\0"
        + (bytes([len(name)]) + name + second[:8])
        + (bytes([len(name)]) + name + bytes(8) + struct.pack(">Q", int(size)) + b64(root)),
    )
    return Head(origin, int(size), b64(root), message, first)


# --- Entries and tree: custody-log.md sections 1, 2 and 5 ----------------------------------------

SUBJECT = re.compile(r"[a-z][a-z-]{0,30}:[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"sha-256:[0-9a-f]{64}")
MEMBERS = {"v", "act", "event", "outcome", "at", "actor", "subject", "details"}


@dataclass(frozen=True)
class Entry:
    """An entry of the log, and its details where they are open."""

    index: int
    text: bytes
    leaf: dict[str, Any]
    details: dict[str, Any] | None
    salt: str | None

    @property
    def digest(self) -> bytes:
        return sha256(b"\0", self.text)

    @property
    def chains(self) -> dict[str, list[Any]]:
        return self.leaf.get("chains", {})

    @property
    def heads(self) -> dict[str, list[Any]]:
        return self.leaf.get("heads", {})

    @property
    def about(self) -> set[str]:
        return {self.leaf["subject"], *self.chains}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return (self.details or {}).get("rows", [])


def read_entries(lines: bytes) -> list[Entry]:
    found: list[Entry] = []
    for line in lines.splitlines():
        told = exact(line)
        demand(set(told) in ({"index", "leaf"}, {"index", "leaf", "details", "salt"}), "members")
        text = told["leaf"].encode()
        entry = Entry(told["index"], text, exact(text), told.get("details"), told.get("salt"))
        _check_leaf(entry)
        if found:
            demand(found[-1].index < entry.index, "entries out of order")
            demand(found[-1].leaf["v"] <= entry.leaf["v"], "an entry of version 1 after one of 2")
        found.append(entry)
    demand(found, "no entries")
    return found


def _check_leaf(entry: Entry) -> None:
    leaf, version = entry.leaf, entry.leaf["v"]
    demand(version in (1, 2), f"entry {entry.index}: another version")
    demand(set(leaf) == MEMBERS | ({"chains", "heads"} if version == 2 else set()), "members")
    demand(len(entry.text) <= 65535 and DIGEST.fullmatch(leaf["details"]), "not an entry")
    demand(leaf["outcome"] in {"success", "refused", "failure"}, "another outcome")
    demand(version == 1 or leaf["subject"] in leaf["chains"], "an entry outside its own chain")
    demand(not set(entry.chains) & set(entry.heads), "a chain both continued and named")
    for subject, (count, digest) in (entry.chains | entry.heads).items():
        demand(SUBJECT.fullmatch(subject), f"not a subject: {subject}")
        demand(DIGEST.fullmatch(digest) if count else digest is None, "not a head")


def peaks(size: int) -> list[tuple[int, int]]:
    """Return the complete nodes that make up a tree, left to right."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


class Tree:
    """What a bundle knows of the log's tree."""

    def __init__(self, entries: list[Entry], nodes: bytes, earlier: Iterable[int]) -> None:
        self._leaves = {entry.index: entry.digest for entry in entries}
        self._nodes = {}
        for line in nodes.splitlines():
            level, index, node = exact(line)
            demand((level, index) not in self._nodes, "a node twice")
            self._nodes[level, index] = b64(node)
        known = [(0, index) for index in self._leaves]
        known += [place for size in earlier for place in peaks(size)]
        self._computed = {
            (level + up, index >> up) for level, index in known for up in range(1, 64 - level)
        }

    def root(self, size: int) -> bytes:
        found = b""
        for place in reversed(peaks(size)):
            found = sha256(b"\1", self._node(*place), found) if found else self._node(*place)
        return found or sha256()

    def _node(self, level: int, index: int) -> bytes:
        if level == 0 and index in self._leaves:
            return self._leaves[index]
        if (level, index) in self._computed:
            children = (self._node(level - 1, index * 2 + side) for side in (0, 1))
            return sha256(b"\1", *children)
        node = self._nodes.get((level, index))
        demand(node and len(node) == 32, f"node {level}/{index} is missing")
        return node


def read_proof(proof: str, leaf: bytes, log: Key) -> tuple[int, Head]:
    """Return the number of an entry, and the head under which a tlog-proof shows it."""
    path, _, note = proof.partition("\n\n")
    head = read_head(note.encode(), log)
    magic, *lines = path.split("\n")
    demand(magic == "c2sp.org/tlog-proof@v1", "not a proof")
    lines = lines[1:] if lines[0].startswith("extra ") else lines
    number = re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines[0])
    demand(number, "no index")
    index = first = int(number[1])
    last, found = head.size - 1, sha256(b"\0", leaf)
    demand(index <= last, "an index beyond the head")
    for step in map(b64, lines[1:]):
        demand(last, "a path too long")
        if first & 1 or first == last:
            found = sha256(b"\1", step, found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            found = sha256(b"\1", found, step)
        first, last = first >> 1, last >> 1
    demand(not last and found == head.root, "the entry is not under its checkpoint")
    return index, head


# --- Level 1 -------------------------------------------------------------------------------------

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
TAGS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt"}
TAGS |= {"bundle.json", "bundle.message", "bundle.ed25519"}


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def read_manifest(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    lines = data.decode().removesuffix("\n").split("\n")
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    written = "".join(f"{listed[name]}  {name}\n" for name in sorted(listed))
    demand(written.encode() == data, f"{path.name}: not in its one form")
    return listed


@dataclass
class Bundle:
    """A bundle that is being verified; each check of level 1 leaves what it proved."""

    root: Path
    keys: Keys
    statement: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    receipts: dict[str, tuple[int, Head, bytes]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    head: Head | None = None
    proven: bool = False

    @property
    def data(self) -> Path:
        return self.root / "data"

    def read(self, path: str) -> bytes:
        return (self.data / path).read_bytes()

    def json(self, path: str) -> Any:
        return json.loads(self.read(path))

    def names(self, folder: str) -> set[str]:
        place = self.data / folder
        return {path.name for path in place.iterdir()} if place.is_dir() else set()

    # 1
    def check_bag(self) -> None:
        found = {}
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            demand(not path.is_symlink() and (path.is_file() or path.is_dir()), f"no file: {name}")
            if path.is_file():
                found[name] = path
        demand((self.root / "bagit.txt").read_bytes() == BAGIT, "bagit.txt")
        payload = {name for name in found if name.startswith("data/")}
        tags = set(found) - payload - {"tagmanifest-sha256.txt"}
        tags = {name for name in tags if not LITTER.fullmatch(name)}
        demand(tags == TAGS, f"beside the bag: {sorted(tags ^ TAGS)}")
        for manifest, names in (("manifest", payload), ("tagmanifest", tags)):
            listed = read_manifest(self.root / f"{manifest}-sha256.txt")
            demand(set(listed) == names, f"{manifest}: {sorted(set(listed) ^ names)}")
            for name, digest in listed.items():
                demand(file_digest(found[name]) == digest, f"changed: {name}")
        size = sum(found[name].stat().st_size for name in payload)
        case = self.json("case.json")
        statement = json.loads((self.root / "bundle.json").read_bytes())["body"]
        info = {
            "Source-Organization": case["township"],
            "External-Identifier": case["number"],
            "Bagging-Date": statement["made_at"][:10],
            "Bag-Software-Agent": statement["software"],
            "Payload-Oxum": f"{size}.{len(payload)}",
        }
        told = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in info.items())
        demand((self.root / "bag-info.txt").read_bytes() == told.encode(), "bag-info.txt")

    # 3 and 8
    def check_statement(self) -> None:
        self.statement = read_signed(
            (self.root / "bundle.json").read_bytes(), "bundle/v1", [self.keys.centre]
        )
        said = self.statement
        demand(said["v"] == 2, "not a bundle of version 2")
        members = "v case export manifest checkpoint made_at made_by software"
        demand(set(said) == set(members.split()), "members of the statement")
        demand(
            said["manifest"] == {"sha-256": file_digest(self.root / "manifest-sha256.txt")},
            "another manifest",
        )
        demand(
            said["checkpoint"] == {"sha-256": sha256(self.read("custody/checkpoint")).hex()},
            "another checkpoint",
        )
        demand(said["case"] == self.json("case.json")["id"], "another case")
        demand(sha256(self.read("VERIFY.md")).hex() in GUIDES, "another VERIFY.md")
        self._check_copies(self.root / "bundle", "bundle/v1")
        for path in (self.data / "keys").glob("*.verify"):
            lines = path.with_suffix(".pem").read_text(encoding="ascii").splitlines()
            der = bytes.fromhex("302a300506032b6570032100") + read_key(path).ed25519
            pem = ["-----BEGIN PUBLIC KEY-----", base64.b64encode(der).decode()]
            demand(lines == [*pem, "-----END PUBLIC KEY-----"], f"another key: {path.stem}.pem")

    def _check_copies(self, document: Path, domain: str) -> None:
        signed = exact(document.with_suffix(".json").read_bytes())
        message, signature = (document.with_suffix(end).read_bytes() for end in COPIES)
        demand(message == message_of(domain, signed["body"]), f"{document.name}.message")
        demand(signature == b64(signed["signatures"][0]["sig"]), f"{document.name}.ed25519")

    # 4
    def check_records(self) -> None:
        for name in sorted(self.names("recordings")):
            folder = self.data / "recordings" / name
            raw = (folder / "record.json").read_bytes()
            station = exact(raw)["body"]["station"]
            keys = [key for key in self.keys.stations if key.name == station]
            record = read_signed(raw, "sealed-record/v1", keys)
            demand(record["recording"] == name, f"{name}: another recording's record")
            self._check_copies(folder / "record", "sealed-record/v1")
            envelope = (folder / "envelope.json").read_bytes()
            demand(sha256(envelope).hex() == record["envelope"]["sha-256"], f"{name}: envelope")
            told = exact(envelope)
            demand((told["recording"], told["station"]) == (name, station), f"{name}: envelope")
            self._check_footage(folder, record)
            self.records[name] = record

    def _check_footage(self, folder: Path, record: dict[str, Any]) -> None:
        documents = {f"{part}{end}" for part in ("record", "receipt") for end in (".json", *COPIES)}
        (kind,) = {path.name for path in folder.iterdir()} - documents - {"envelope.json"}
        demand(kind in {"original", "payload"}, f"{folder.name}: {kind}")
        if kind == "payload":
            path = folder / kind
            size, digest = record["payload"]["size"], record["payload"]["sha-256"]
        else:
            (path,) = (folder / kind).iterdir()
            size, digest = record["size"], record["digests"]["sha-256"]
            self._check_sm3(path, record["digests"])
        demand(path.stat().st_size == size, f"{folder.name}: length of the {kind}")
        demand(file_digest(path) == digest, f"{folder.name}: not the {kind} that was sealed")

    def _check_sm3(self, path: Path, digests: dict[str, str]) -> None:
        if "sm3" in digests and "sm3" in hashlib.algorithms_available:  # not in every OpenSSL
            demand(file_digest(path, "sm3") == digests["sm3"], f"{path.name}: another SM3")

    def check_receipts(self) -> None:
        for name, record in self.records.items():
            folder = self.data / "recordings" / name
            raw = (folder / "receipt.json").read_bytes()
            receipt = read_signed(raw, "receipt/v1", [self.keys.centre])
            self._check_copies(folder / "receipt", "receipt/v1")
            leaf = receipt["leaf"].encode()
            index, head = read_proof(receipt["proof"], leaf, self.keys.log)
            demand(exact(leaf)["subject"] == f"recording:{name}", f"{name}: leaf of another")
            for member, value in {
                "v": 1,
                "recording": name,
                "station": record["station"],
                "record": named((folder / "record.json").read_bytes()),
                "original": "sha-256:" + record["digests"]["sha-256"],
                "size": record["size"],
            }.items():
                demand(receipt[member] == value, f"{name}: {member} of the receipt")
            self.receipts[name] = (index, head, leaf)

    # 5, 6 and 7
    def check_log(self) -> None:
        self.head = read_head(self.read("custody/checkpoint"), self.keys.log)
        demand(self.head.origin == self.keys.log.name, "a head under an earlier origin")
        demand(self.read("custody/checkpoint.message") == self.head.text, "checkpoint.message")
        demand(self.read("custody/checkpoint.ed25519") == self.head.ed25519, "checkpoint.ed25519")
        self.entries = read_entries(self.read("custody/entries.jsonl"))
        former = self.keys.log.former
        heads = [(head.size, head.root) for _, head, _ in self.receipts.values()]
        heads += [(one["size"], b64(one["root"])) for one in former]
        demand(all(size <= self.head.size for size, _ in heads), "a head beyond the newest")
        demand(self.entries[-1].index < self.head.size, "an entry beyond the newest head")
        tree = Tree(self.entries, self.read("custody/nodes.jsonl"), [size for size, _ in heads])
        for size, root in [(self.head.size, self.head.root), *heads]:
            demand(tree.root(size) == root, f"the entries do not lead to the head of {size}")
        for entry in self.entries:
            if entry.details is not None:
                opened = named(b64(entry.salt) + canonical(entry.details))
                demand(entry.leaf["details"] == opened, f"entry {entry.index}: other details")
        self._check_origins(former)
        self.proven = True

    def _check_origins(self, former: tuple[dict[str, Any], ...]) -> None:
        changes = [e for e in self.entries if e.leaf["act"] == CHANGE_ORIGIN]
        demand(len(changes) == len(former), "changes of origin that the key does not name")
        names = [*(one["origin"] for one in former[1:]), self.keys.log.name]
        for entry, before, name in zip(changes, former, names, strict=False):
            said = {"v": 1, "before": before, "origin": name}
            demand(entry.leaf["subject"] == ORIGIN, "a change of origin upon another subject")
            demand(entry.index == before["size"] and entry.details == said, "change of origin")


COPIES = (".message", ".ed25519")


def newest_log_key(own: Key, bundled: Path) -> Key:
    """Return the log's key as the bundle names it, when it is the same pair renamed since."""
    told = read_key(bundled)
    renamed = own.name in {one["origin"] for one in told.former}
    return told if told.same_pair(own) and renamed else own


# --- Level 2 -------------------------------------------------------------------------------------

CONTINUES = """
account id>account
action id>action case_id>case
action_officer action_id>action
assignment person_id>person
case_ id>case
case_part case_id>case
certificate person_id>person
clock_reading recording_id>recording
decision case_id>case
disposition id>disposition
disposition_approval disposition_id>disposition
disposition_item disposition_id>disposition recording_id>recording
document case_id>case action_id>action recording_id>recording
doubt recording_id>recording
draw id>draw
enrolment station_id>station
exhibit action_id>action recording_id>recording
footage_class recording_id>recording
hold id>hold recording_id>recording action_id>action case_id>case proceeding_id>proceeding
hold_release hold_id>hold proceeding_id>proceeding
later_look recording_id>recording
moment action_id>action
person id>person
proceeding id>proceeding case_id>case
quality_check draw_id>draw recording_id>recording
reclassification recording_id>recording
recording id>recording
rendition recording_id>recording
review case_id>case
source id>source
station id>station
tombstone recording_id>recording disposition_id>disposition
training person_id>person
waiver case_id>case action_id>action
"""
NAMES = """
account person_id>person
action_officer person_id>person
case_part person_id>person
decision person_id>person
doubt person_id>person
recording officer_id>person station>station
review person_id>person
waiver person_id>person decided_by>person
"""
REACHES = {
    "case": {"action", "hold", "person", "proceeding", "rulebook"},
    "action": {"hold", "person", "recording", "rulebook"},
    "recording": {"hold", "key", "person", "station"},
    "station": {"key"},
    "proceeding": {"hold"},
}
CASE_MEMBERS = {"id", "number", "title", "party", "township", "stage", "opened_at", "closed_at"}
State = dict[str, Any]


def _table(text: str) -> dict[str, list[tuple[str, str]]]:
    lines = (line.split() for line in text.strip().splitlines())
    return {table: [tuple(one.split(">")) for one in rest] for table, *rest in lines}


CONTINUED, NAMED = _table(CONTINUES), _table(NAMES)


def subjects_of(table: dict[str, list[tuple[str, str]]], row: State) -> set[str]:
    columns, state = table.get(row["table"], []), row["state"]
    return {f"{kind}:{state[name]}" for name, kind in columns if state.get(name) is not None}


class Rows:
    """The states that open entries hold, up to one of them."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, State]] = {}

    def take(self, entry: Entry) -> None:
        for row in entry.rows:
            table = self.last.setdefault(row["table"], {})
            if row["state"] is None:
                table.pop(row["key"], None)
            else:
                table[row["key"]] = row["state"]

    def of(self, table: str, **wanted: Any) -> list[State]:
        states = self.last.get(table, {}).values()
        return [s for s in states if all(s.get(name) == value for name, value in wanted.items())]

    def one(self, table: str, key: str) -> State:
        return self.last.get(table, {})[key]

    def confirmed(self, action: str) -> list[State]:
        return self.of("exhibit", action_id=action, state="confirmed")


class Told:
    """What the proven entries of a bundle tell of its case."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.entries = bundle, bundle.entries
        self.case = bundle.statement["case"]
        self.export = self.entries[-1]
        self.before = [e for e in self.entries if e.index != bundle.statement["export"]]
        self.subjects = self._belonging()

    def _subjects_of_rows(self, entry: Entry) -> tuple[set[str], set[str]]:
        """Return whose chains an entry has to continue, and whose heads it has to name."""
        rows = [row for row in entry.rows if row["state"]]
        continued, names = (
            {one for row in rows for one in subjects_of(table, row)} for table in (CONTINUED, NAMED)
        )
        return continued, names

    def _chain(self, subject: str) -> list[Entry]:
        return [
            entry
            for entry in self.before
            if subject in entry.chains
            or (entry.leaf["v"] == 1 and subject == entry.leaf["subject"])
        ]

    def _touched(self, entry: Entry) -> set[str]:
        if entry.leaf["v"] == 2:
            return {*entry.chains, *entry.heads}
        continued, names = self._subjects_of_rows(entry)
        return {entry.leaf["subject"]} | continued | names

    def _belonging(self) -> set[str]:
        found, waiting = {f"case:{self.case}"}, [f"case:{self.case}"]
        while waiting:
            subject = waiting.pop()
            kinds = REACHES.get(subject.split(":")[0], set())
            for entry in self._chain(subject):
                for other in self._touched(entry) - found:
                    if other.split(":")[0] in kinds:
                        found.add(other)
                        waiting.append(other)
        found |= {RULEBOOK, ORIGIN, SET_CLOCK[1]}
        return found | {f"key:{one[-1][:16]}" for one in self._held()}

    def _held(self) -> Iterator[tuple[str, ...]]:
        """Yield use (a station's with its name) and fingerprint of each key in `data/keys`."""
        keys = self.bundle.keys
        yield ("centre", keys.centre.fingerprint)
        yield ("log", keys.log.fingerprint)
        yield from (("station", key.name, key.fingerprint) for key in keys.stations)
        for name in sorted(self.bundle.names("keys")):
            if name.endswith(".pub"):
                told = self.bundle.json(f"keys/{name}")
                yield (told["use"], sha256(b64(told["public"])).hex())

    def rows_before(self, index: int) -> Rows:
        rows = Rows()
        for entry in self.entries:
            if entry.index < index:
                rows.take(entry)
        return rows

    def rows(self) -> Rows:
        return self.rows_before(self.export.index + 1)

    # 1
    def check_export(self) -> None:
        leaf, number = self.export.leaf, self.bundle.statement["export"]
        demand(self.export.index == number, "the last entry is not the export's own")
        said = (leaf["v"], leaf["act"], leaf["outcome"], leaf["subject"])
        demand(said == (2, "bundle.export", "success", f"case:{self.case}"), "another export")

    # 2
    def check_chains(self) -> None:
        heads: dict[str, list[Any]] = {}
        for subject in self.subjects:
            first = [e.digest for e in self._chain(subject) if e.leaf["v"] == 1]
            digest = named(b"liuhen/unchained-entries/v1\n" + b"".join(first))
            heads[subject] = [len(first), digest] if first else [0, None]
        for entry in self.entries:
            demand(entry.about & self.subjects, f"entry {entry.index} concerns nothing of the case")
            for subject, head in (entry.chains | entry.heads).items():
                if subject in heads:
                    problem = f"entry {entry.index}: {subject} had {heads[subject][0]} entries"
                    demand(head == heads[subject], f"{problem}, and it names {head[0]}, or another")
            for subject in set(entry.chains) & set(heads):
                number = heads[subject][0] + 1
                heads[subject] = [number, "sha-256:" + entry.digest.hex()]
        named_by_export = {*self.export.chains, *self.export.heads}
        for entry in reversed(self.before):
            if (entry.leaf["act"], entry.leaf["subject"]) != ("bundle.heads", f"case:{self.case}"):
                break
            named_by_export |= set(entry.heads)
        named_by_export -= {f"session:{(self.export.details or {}).get('session')}"}
        other = sorted(named_by_export ^ self.subjects)
        demand(not other, f"the export names other subjects than the case reaches: {other}")

    # 3
    def check_open(self) -> None:
        rows = Rows()
        for entry in self.entries:
            about = entry.about
            others = {s for s in about if s.startswith(("case:", "action:"))}
            shown = {f"recording:{name}" for name in self.bundle.names("recordings")}
            recordings = {s for s in about if s.startswith("recording:")}
            may_be_closed = bool(others - self.subjects) or bool(not others and recordings - shown)
            demand(may_be_closed or entry.details is not None, f"entry {entry.index} is closed")
            if entry.details is not None and entry.leaf["v"] == 2:
                continued, names = self._subjects_of_rows(entry)
                demand(
                    continued <= set(entry.chains), f"entry {entry.index}: a chain not continued"
                )
                demand(
                    names <= {*entry.chains, *entry.heads}, f"entry {entry.index}: a head not named"
                )
                for row in entry.rows:
                    until_then = rows.last.get(row["table"], {}).get(row["key"])
                    removed_unseen = row["state"] is None and until_then is None
                    demand(not removed_unseen, f"entry {entry.index}: removes what nobody told of")
                    about = subjects_of(CONTINUED, row | {"state": until_then or {}})
                    demand(about <= set(entry.chains), f"entry {entry.index}: leaves a chain")
            rows.take(entry)

    # 4
    def check_presence(self) -> None:
        rows, shown = self.rows(), self.bundle
        actions = {one["id"] for one in rows.of("action", case_id=self.case)}
        linked = {one["recording_id"] for name in actions for one in rows.confirmed(name)}
        told = shown.json("evidence-list.json")
        listed = {one["recording"] for one in told["recordings"]}
        for what, wanted, found in (
            ("actions", actions, shown.names("actions")),
            ("actions listed", actions, set(told["actions"])),
            ("recordings", linked, shown.names("recordings")),
            ("recordings listed", linked, listed),
        ):
            demand(wanted == found, f"{what}: {sorted(wanted ^ found)}")
        demand(len(listed) == len(told["recordings"]), "a recording listed twice")

    # 5
    def check_states(self) -> None:
        rows, told = self.rows(), self.bundle.json("evidence-list.json")
        said, case = self.bundle.json("case.json"), rows.one("case_", self.case)
        demand(set(said) == CASE_MEMBERS, "members of case.json")
        for name, value in said.items():
            demand(same(value, case[name]), f"case.json: {name}")
        demand(told["entries"] == self.bundle.head.size, "evidence-list.json: entries")
        for name in ("made_at", "made_by"):
            demand(told[name] == self.bundle.statement[name], f"evidence-list.json: {name}")
        members = {"made_at", "made_by", "entries", "actions", "recordings"}
        demand(set(told) == members, "evidence-list.json: members")
        for name, listed in told["actions"].items():
            self._check_action(rows, name, listed)
        for listed in told["recordings"]:
            self._check_recording(rows, listed)

    def _check_action(self, rows: Rows, name: str, listed: State) -> None:
        state = rows.one("action", name)
        members = {"status", "place", "judged_at", "officers", "exhibits"}
        demand(set(listed) == members, f"action {name}: members")
        for column in ("status", "place"):
            demand(listed[column] == state[column], f"action {name}: {column}")
        officers = rows.of("action_officer", action_id=name)
        names = sorted(rows.one("person", one["person_id"])["name"] for one in officers)
        demand(sorted(listed["officers"]) == names, f"action {name}: officers")
        wanted = [
            {
                "recording": one["recording_id"],
                "how": one["how"],
                "shown_from": one["shown_from"],
                "shown_to": one["shown_to"],
            }
            for one in rows.confirmed(name)
        ]
        demand(same_list(listed["exhibits"], wanted, "recording"), f"action {name}: exhibits")

    def _check_recording(self, rows: Rows, listed: State) -> None:
        state = rows.one("recording", listed["recording"])
        officer = state["officer_no"]
        if state["officer_id"] is not None:
            officer = rows.one("person", state["officer_id"])["name"]
        wanted = {
            "recording": state["id"],
            "source": state["source_serial"],
            "officer": officer,
        } | {name: state[name] for name in ("name", "start_at", "duration_s", "sha256", "size")}
        demand(same(listed, wanted), f"recording {state['id']}: the list is not what was logged")

    def _states(self, name: str) -> Iterator[tuple[Entry, State]]:
        """Yield each state of a recording, with its entry."""
        for entry in self.entries:
            for row in entry.rows:
                if (row["table"], row["key"]) == ("recording", name) and row["state"]:
                    yield entry, row["state"]

    # 6
    def check_records(self) -> None:
        for name, record in self.bundle.records.items():
            folder = f"recordings/{name}"
            receipt = named(self.bundle.read(f"{folder}/receipt.json"))
            wanted = {
                "record_text": named(self.bundle.read(f"{folder}/record.json")),
                "envelope_text": named(self.bundle.read(f"{folder}/envelope.json")),
                "sha256": record["digests"]["sha-256"],
                "size": record["size"],
                "source_serial": record["source"]["identity"],
                "station": record["station"],
                "name": record["offered"]["name"],
                "path": record["offered"]["path"],
            }
            states = list(self._states(name))
            demand(states, f"{name}: no entry holds its row")
            for entry, state in states:
                for column, value in wanted.items():
                    demand(state[column] == value, f"{name}: {column} in entry {entry.index}")
                demand(state["receipt_text"] in {None, receipt}, f"{name}: another receipt")

    # 7
    def check_times(self) -> None:
        last, bound = "", False
        for entry in self.entries:
            at, said = entry.leaf["at"], (entry.leaf["act"], entry.leaf["subject"])
            bound = bound or entry.leaf["v"] == 2
            demand(
                at >= last or not bound or said == SET_CLOCK, f"entry {entry.index}: time ran back"
            )
            last = at
        for name, record in self.bundle.records.items():
            start, offset = record["clocks"]["file_start"], record["clocks"]["offset_s"]
            answered = None
            for entry, state in self._states(name):
                where = f"{name}: entry {entry.index}:"
                demand(same(state["file_start"], start), f"{where} file_start")
                if state["clock_offset_s"] != offset:
                    acts = {"recording.clock", "recording.answer"}
                    demand(entry.leaf["act"] in acts, f"{where} clock_offset_s")
                    offset = state["clock_offset_s"]
                if entry.leaf["act"] == "recording.answer":
                    answered = state["start_at"]
                if answered is None or not same(state["start_at"], answered):
                    demand(near(state["start_at"], start, offset), f"{where} start_at")

    # 8
    def check_rulebooks(self) -> None:
        loads: dict[str, dict[str, str]] = {}
        wanted = set()
        for entry in self.entries:
            details = entry.details or {}
            if entry.leaf["act"] == "rulebook.load":
                loads[details["digest"]] = details["files"]
            elif "rulebook" in details:
                digest = details["rulebook"]
                demand(digest in loads, f"entry {entry.index}: a rulebook that was never loaded")
                wanted.add(digest)
        demand(self.bundle.names("rulebook") == wanted, "other rulebooks than those that judged")
        for digest in wanted:
            folder = self.bundle.data / "rulebook" / digest
            files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
            demand(files == loads[digest], f"rulebook {digest}: other files than were loaded")
            lines = "".join(f"{found}  {name}\n" for name, found in sorted(files.items()))
            demand(sha256(lines.encode()).hex() == digest, f"rulebook {digest}: another digest")

    # 10
    def check_keys(self) -> None:
        added: dict[tuple[str, ...], int] = {}
        for entry in self.entries:
            told = entry.details or {}
            if entry.leaf["act"] == "key.add" and told:
                demand(entry.leaf["subject"] == f"key:{told['fingerprint'][:16]}", "another key")
                name = (told["name"],) if told["use"] == "station" else ()
                added.setdefault((told["use"], *name, told["fingerprint"]), entry.index)
        for held in self._held():
            demand(held in added, f"no entry tells of the key {held}")
        for name, record in self.bundle.records.items():
            kid = exact(self.bundle.read(f"recordings/{name}/record.json"))["signatures"][0]["kid"]
            (key,) = (one for one in self.bundle.keys.stations if one.kid == kid)
            entry = next(
                one
                for one in self.entries
                if one.leaf["act"] == "recording.accession"
                and one.leaf["subject"] == f"recording:{name}"
            )
            if entry.leaf["v"] == 2:
                count = entry.heads.get(f"key:{kid}", [0])[0]
                since = added["station", key.name, key.fingerprint]
                demand(count and since < entry.index, f"{name}: its key was not enrolled before")
            first = min(_instant(record["sealed_at"]), _instant(entry.leaf["at"]))
            for end in self._ends(key):
                demand(first < end, f"{name}: sealed after its key's end")

    # 11
    def check_sessions(self) -> None:
        owners: dict[str, str] = {}
        stood: dict[str, list[Any]] = {}
        since: str | None = None
        for entry in self.entries:
            leaf, told, where = entry.leaf, entry.details, f"entry {entry.index}"
            if leaf["v"] != 2 or told is None or not leaf["actor"].startswith("person:"):
                continue
            asked = told.get("asked_at")
            demand(asked is None or asked <= leaf["at"], f"{where}: asked for after it was done")
            if "session" not in told:
                before = since is None or (asked is not None and asked < since)
                demand(before, f"{where}: in no session")
                continue
            since, name = since or leaf["at"], told["session"]
            head = (entry.chains | entry.heads)[f"session:{name}"]
            demand(head[0] in ((1,) if asked is None else (1, 2)), f"{where}: not an open session")
            demand(owners.setdefault(name, leaf["actor"]) == leaf["actor"], f"{where}: another's")
            last = stood.get(name, head)
            demand(head == last or head[0] > last[0], f"{where}: another opening")
            stood[name] = head

    def _ends(self, key: Key) -> Iterator[Any]:
        for row in self.rows().of("enrolment"):
            if row["key_text"] and read_key_text(row["key_text"]) == key:
                yield from (_instant(row[at]) for at in ("revoked_at", "expires_at") if row[at])

    # 9
    def check_facts(self) -> None:
        for entry in self.entries:
            details = entry.details or {}
            if entry.leaf["act"] == "action.close" and "facts" in details:
                self._check_facts(details["facts"], entry)
        for row in self.rows().of("action", case_id=self.case):
            folder = f"actions/{row['id']}"
            if row["status"] != "closed":
                self._check_facts(self.bundle.json(f"{folder}/facts.json"), self.export)
            elif (self.bundle.data / folder / "later.json").exists():
                self._check_facts(self.bundle.json(f"{folder}/later.json")["facts"], self.export)

    def _check_facts(self, facts: State, entry: Entry) -> None:
        rows, where = self.rows_before(entry.index), f"facts at entry {entry.index}"
        demand(entry.leaf["subject"] in {f"action:{facts['action']}", f"case:{self.case}"}, where)
        action, case = rows.one("action", facts["action"]), rows.one("case_", self.case)
        for fact, value in {
            "case": action["case_id"],
            "kind": action["kind"],
            "stage": action["stage"],
            "start": action["start_at"],
            "end": action["end_at"],
            "manner": action["manner"],
            "township": case["township"],
            "features": case["features"] or [],
        }.items():
            demand(same(facts[fact], value), f"{where}: {fact}")
        of_action = {"action_id": action["id"]}
        officers = {one["person_id"] for one in rows.of("action_officer", **of_action)}
        demand({one["id"] for one in facts["officers"]} == officers, f"{where}: officers")
        for fact, table, columns in (
            ("moments", "moment", ("kind", "at", "note")),
            ("documents", "document", ("id", "kind", "at", "served_at", "manner")),
        ):
            wanted = [{name: one[name] for name in columns} for one in rows.of(table, **of_action)]
            demand(same_list(facts[fact], wanted, "at"), f"{where}: {fact}")
        wanted = [waiver(one) for one in rows.of("waiver", **of_action)]
        demand(same_list(facts["waivers"], wanted, "id"), f"{where}: waivers")
        linked = {one["recording_id"] for one in rows.confirmed(action["id"])}
        shown = [one["recording"] for one in facts["footage"]]
        demand(len(shown) == len(linked) and set(shown) == linked, f"{where}: footage")
        for footage in facts["footage"]:
            self._check_footage(rows, footage, f"{where}: {footage['recording']}")

    def _check_footage(self, rows: Rows, footage: State, where: str) -> None:
        state = rows.one("recording", footage["recording"])
        for fact, column in FOOTAGE.items():
            demand(same(footage[fact], state[column]), f"{where}: {fact}")
        record = self.bundle.records.get(footage["recording"])
        if record is None:  # confirmed then, and not any more
            return
        media = record["media"]
        for fact in ("kind", "has_video", "has_audio", "missing_video", "missing_audio"):
            demand(same(footage[fact], media[fact]), f"{where}: {fact} is not the station's")
        demand(same(footage["docked_at"], record["clocks"]["docked_at"]), f"{where}: docked_at")
        said = rows.of("doubt", recording_id=footage["recording"])
        decided = {(one["kind"], one["start_s"]): one["confirmed"] for one in said}
        doubts = [
            [
                one.get("start_s") or 0,
                (media["duration_s"] or 0) if one.get("end_s") is None else one["end_s"],
                one["kind"],
            ]
            for one in record["inspection"]
            if one["weight"] == "doubt"
        ]
        doubtful = [one for one in doubts if (one[2], one[0]) not in decided]
        faulty = [one for one in doubts if decided.get((one[2], one[0]))]
        demand(footage["doubtful"] == doubtful, f"{where}: doubtful")
        demand(footage["faulty"] == faulty, f"{where}: faulty")


FOOTAGE = {
    "source": "source_serial",
    "start": "start_at",
    "end": "end_at",
    "uncertainty_s": "clock_uncertainty_s",
    "has_video": "has_video",
    "has_audio": "has_audio",
    "missing_video": "video_gaps",
    "missing_audio": "audio_gaps",
    "officer": "officer_id",
    "kind": "kind",
    "sequence": "sequence",
    "docked_at": "docked_at",
    "accessioned_at": "accessioned_at",
}


def waiver(row: State) -> State:
    """Return a waiver's row as facts tell it."""
    approved = row["state"] == "approved"
    return {
        "id": row["id"],
        "rule": row["rule"],
        "reason": row["reason"],
        "by": row["person_id"],
        "at": row["at"],
        "approved_by": row["decided_by"] if approved else None,
        "approved_at": row["decided_at"] if approved else None,
        "approver": row["approver"] if approved else None,
        "refused": row["state"] == "refused",
    }


def same(told: Any, logged: Any) -> bool:
    """Tell whether two values are one: times are compared as instants."""
    if isinstance(told, dict) and isinstance(logged, dict):
        return set(told) == set(logged) and all(same(told[name], logged[name]) for name in told)
    if isinstance(told, list) and isinstance(logged, list):
        return len(told) == len(logged) and all(map(same, told, logged))
    if isinstance(told, bool) or isinstance(logged, bool):
        return told is logged
    if told == logged:
        return True
    return isinstance(told, str) and isinstance(logged, str) and _instant(told) == _instant(logged)


def same_list(told: list[State], logged: list[State], by: str) -> bool:
    """Tell whether two lists hold the same, in any order."""

    def ordered(rows: list[State]) -> list[State]:
        return sorted(rows, key=lambda one: (str(_instant(one[by])), json.dumps(_plain(one))))

    return same(ordered(told), ordered(logged))


def _plain(one: State) -> list[Any]:
    return [[name, str(_instant(value))] for name, value in sorted(one.items())]


def _instant(value: Any) -> Any:
    """Return a time as UTC, and anything else as it is."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\dT", value):
        return value
    return datetime.fromisoformat(value).astimezone(UTC)


def near(told: str | None, start: str | None, offset: float | None) -> bool:
    """Tell whether a start is the file's start plus the clock's offset, to a millisecond."""
    if told is None or start is None:
        return told is start
    away = _instant(told) - _instant(start) - timedelta(seconds=offset or 0)
    return abs(away) <= timedelta(milliseconds=1)


# --- The program ---------------------------------------------------------------------------------


class Report:
    """The checks that were done, printed as they are."""

    def __init__(self) -> None:
        self.passed = True

    def check(self, level: int, name: str, done: Callable[[], None]) -> None:
        try:
            done()
        except Exception as problem:  # noqa: BLE001 - whatever is wrong in a bundle, it is refused
            self.passed = False
            what = "a signature is false" if isinstance(problem, InvalidSignature) else problem
            self.say(f"L{level} {name}: WRONG: {type(problem).__name__}: {what}")
        else:
            self.say(f"L{level} {name}: OK")

    def say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")


def main() -> int:
    report, root = Report(), Path(sys.argv[1])
    own = Path(sys.argv[2]) if sys.argv[2:] else None
    bundled = root / "data" / "keys"
    try:
        keys = Keys.read(own or bundled)
        stations = Keys.read(bundled).stations  # level 2, point 10, asks what they are worth
        keys = Keys(keys.centre, newest_log_key(keys.log, bundled / "log.verify"), stations)
    except Exception as problem:  # noqa: BLE001 - as above
        report.say(f"L1 keys: WRONG: {problem!r}")
        return 1
    source = "the reader's" if own else "the bundle's own: it is consistent at best"
    report.say(f"keys: {source}")
    page = root / "data" / "verify.html"
    if page.exists():  # bundle.md section 1: no reader rests anything on it
        report.say(f"verify.html: a convenience copy, SHA-256 {file_digest(page)}")
    bundle = Bundle(root, keys)
    report.check(1, "bag", bundle.check_bag)
    report.check(1, "statement", bundle.check_statement)
    report.check(1, "records", bundle.check_records)
    report.check(1, "receipts", bundle.check_receipts)
    report.check(1, "log", bundle.check_log)
    if not bundle.proven or not bundle.statement:
        report.say("L2: not done, for nothing is proven")
        return 1
    try:
        told = Told(bundle)
    except Exception as problem:  # noqa: BLE001 - as above: a key of the bundle that is none
        report.say(f"L2 subjects: WRONG: {problem!r}")
        return 1
    report.check(2, "export", told.check_export)
    report.check(2, "chains", told.check_chains)
    report.check(2, "open entries", told.check_open)
    report.check(2, "presence", told.check_presence)
    report.check(2, "states", told.check_states)
    report.check(2, "records", told.check_records)
    report.check(2, "times", told.check_times)
    report.check(2, "rulebooks", told.check_rulebooks)
    report.check(2, "facts", told.check_facts)
    report.check(2, "keys", told.check_keys)
    report.check(2, "sessions", told.check_sessions)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
