"""Make a bundle: a BagIt bag whose every statement can be checked without us.

Layout below `data/`: `case.json`; `actions/<id>/facts.json` and `findings.json`; for each
recording `recordings/<id>/` with the original (or payload), the three signed documents and, for
tools that know no JSON, the exact signed message with its raw Ed25519 signature; `custody/` with
the checkpoint, the entries of every chain that belongs to the case, and the nodes that prove them;
`keys/`; `rulebook/`; the evidence list as data and as a page. `bundle.json` beside the manifests is
signed by the centre and pins the payload manifest (docs/spec/bundle.md).
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from storage.bundle.bag import MANIFEST, BagTally, Member
from storage.bundle.contents import BundledEntry, BundledRecording, Contents
from storage.bundle.court_page.build import PAGE_PATH, build_page
from storage.bundle.evidence_list import JudgedAction, evidence_list
from storage.custody.checkpoint import plain_signature, untrusted_checkpoint
from storage.custody.merkle.partial_tree import Place
from storage.digest import Digest
from storage.errors import FixityError
from storage.record import RECEIPT_DOMAIN, RECORD_DOMAIN, SealedRecord
from storage.signed import canonical
from storage.signed.signing import ED25519, SigningKey, VerifyKey, sign_document, signed_message

BUNDLE_DOMAIN = "bundle/v1"
BUNDLE_VERSION = 2
GUIDE = Path(__file__).with_name("VERIFY.md")
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 80
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"
}


def stream_members(
    bag: BagTally,
    contents: Contents,
    centre: SigningKey,
    progress: Callable[[str, int], None] = lambda _recording_id, _size: None,
) -> Iterator[Member]:
    """Yield the bundle's files in the order in which they are made; read each to its end.

    Every original is hashed on its way out and compared with its signed record; `bag` then knows
    the digests, that of the payload manifest too. Raises: FixityError, OSError.
    """
    yield bag.declare_bag()
    yield _json_member(bag, "data/case.json", dict(contents.case))
    for action in contents.actions:
        at = f"data/actions/{action.id}"
        yield _json_member(bag, f"{at}/facts.json", action.facts)
        yield _json_member(bag, f"{at}/findings.json", action.verdict)
        if action.later is not None:
            yield _json_member(bag, f"{at}/later.json", action.later)
    for recording in contents.recordings:
        # Verified once more: the digests that the original is held to must be the station's.
        record = SealedRecord.verify(recording.record, contents.stations)
        yield from _recording_members(bag, recording, record)
        progress(recording.id, record.size)
    yield from _custody_members(bag, contents)
    yield from _key_members(bag, contents)
    for digest, files in contents.rulebooks.items():
        for name, content in files.items():
            yield bag.add_content(f"data/rulebook/{digest}/{name}", content)
    listing = _build_listing(contents)
    yield _json_member(bag, "data/evidence-list.json", listing)
    actions = {
        action.id: JudgedAction(action.facts, action.verdict, action.later)
        for action in contents.actions
    }
    page = evidence_list(contents.case, listing, actions)
    yield bag.add_content("data/evidence-list.html", page.encode())
    yield bag.add_content("data/VERIFY.md", GUIDE.read_bytes())
    yield bag.add_content(PAGE_PATH, build_page())
    yield bag.describe_bag(
        about_bag(contents.case, contents.made_at.isoformat(), contents.software)
    )
    yield bag.list_payload()
    yield from _statement_members(bag, contents, centre)
    yield bag.list_tags()


def _statement_members(bag: BagTally, contents: Contents, centre: SigningKey) -> Iterator[Member]:
    """Yield the signed statement; last, since one signature over the manifest covers all files."""
    statement = {
        "v": BUNDLE_VERSION,
        "case": contents.case["id"],
        "export": contents.export,
        "manifest": {"sha-256": bag.digest_of(MANIFEST)},
        "checkpoint": {"sha-256": Digest.compute(contents.checkpoint.encode()).hex},
        "made_at": contents.made_at.isoformat(),
        "made_by": contents.made_by,
        "software": contents.software,
    }
    signed = sign_document(centre, BUNDLE_DOMAIN, statement)
    message, signature = detach_signature(signed, BUNDLE_DOMAIN)
    yield bag.add_content("bundle.json", signed)
    yield bag.add_content("bundle.message", message)
    yield bag.add_content("bundle.ed25519", signature)


def about_bag(case: Mapping[str, Any], made_at: str, software: str) -> dict[str, str]:
    """Return what `bag-info.txt` tells of a case's bundle; `made_at` is ISO 8601."""
    return {
        "Source-Organization": str(case["township"]),
        "External-Identifier": str(case["number"]),
        "Bagging-Date": made_at[:10],
        "Bag-Software-Agent": software,
    }


def _recording_members(
    bag: BagTally, recording: BundledRecording, record: SealedRecord
) -> Iterator[Member]:
    at = f"data/recordings/{recording.id}"
    if recording.original is not None:
        path = f"{at}/original/{safe_name(recording.name)}"
        yield bag.add_member(path, recording.original(), record.size)
        expected = record.original.hex
    else:
        path = f"{at}/payload"
        yield bag.add_member(path, recording.payload(), record.payload["size"])
        expected = record.payload_digest.hex
    # What was read for the bundle, not what the catalogue says of it.
    if (digest := bag.digest_of(path)) != expected:
        raise FixityError(part="export", recording=recording.id, expected=expected, found=digest)
    yield bag.add_content(f"{at}/envelope.json", recording.envelope)
    for name, document, domain in (
        ("record", recording.record, RECORD_DOMAIN),
        ("receipt", recording.receipt, RECEIPT_DOMAIN),
    ):
        message, signature = detach_signature(document, domain)
        yield bag.add_content(f"{at}/{name}.json", document)
        yield bag.add_content(f"{at}/{name}.message", message)
        yield bag.add_content(f"{at}/{name}.ed25519", signature)


def detach_signature(document: bytes, domain: str) -> tuple[bytes, bytes]:
    """Return the exact bytes that were signed, and the raw Ed25519 signature over them."""
    content = canonical.decode(document)
    signature = next(
        candidate["sig"] for candidate in content["signatures"] if candidate["alg"] == ED25519
    )
    return signed_message(domain, content["body"]), base64.b64decode(signature)


def safe_name(untrusted_name: str) -> str:
    """Return a file name that every file system takes and no shell trips over.

    Windows refuses what it holds for a device's name, whatever follows the first dot, and paths
    of more than 259 characters: the folders above and a place to unpack in need most of them.
    """
    stem, dot, suffix = untrusted_name.rpartition(".")
    stem, suffix = (stem, suffix) if dot else (suffix, "")
    cleaned = (
        # Cut in bytes: a Chinese character takes three, and file systems count bytes.
        _UNSAFE.sub("_", stem).strip("._")[:_LONGEST].encode()[:_LONGEST].decode(errors="ignore")
    )
    if cleaned.partition(".")[0].upper() in _DEVICES:
        cleaned = f"_{cleaned}"
    tail = _UNSAFE.sub("", suffix)[:10].strip(".")
    return f"{cleaned or 'original'}.{tail}" if tail else cleaned or "original"


def _custody_members(bag: BagTally, contents: Contents) -> Iterator[Member]:
    message, signature = plain_signature(contents.checkpoint, contents.log)
    yield bag.add_content("data/custody/checkpoint", contents.checkpoint.encode())
    yield bag.add_content("data/custody/checkpoint.message", message)
    yield bag.add_content("data/custody/checkpoint.ed25519", signature)
    yield bag.add_member("data/custody/entries.jsonl", _entry_lines(contents.entries))
    yield bag.add_member("data/custody/nodes.jsonl", _node_lines(contents.nodes))


def _entry_lines(entries: Iterable[BundledEntry]) -> Iterator[bytes]:
    for entry in entries:
        fields: dict[str, Any] = {"index": entry.index, "leaf": entry.leaf}
        if entry.details is not None and entry.salt is not None:
            fields |= {"details": dict(entry.details), "salt": _encode_base64(entry.salt)}
        yield canonical.encode(fields) + b"\n"


def _node_lines(nodes: Mapping[Place, bytes]) -> Iterator[bytes]:
    for (level, index), digest in sorted(nodes.items()):
        yield canonical.encode([level, index, _encode_base64(digest)]) + b"\n"


def _build_listing(contents: Contents) -> dict[str, Any]:
    return {
        "made_at": contents.made_at.isoformat(),
        "made_by": contents.made_by,
        "entries": untrusted_checkpoint(contents.checkpoint).size,
        "actions": {action.id: dict(action.about) for action in contents.actions},
        "recordings": [
            {"recording": recording.id, **recording.about} for recording in contents.recordings
        ],
    }


def _key_members(bag: BagTally, contents: Contents) -> Iterator[Member]:
    signers = [("centre", contents.centre), ("log", contents.log)]
    # A station that was enrolled again has several keys.
    signers += [(f"station-{key.name}-{key.kid}", key) for key in contents.stations]
    for name, key in signers:
        yield _json_member(bag, f"data/keys/{name}.verify", key.to_json())
        yield bag.add_content(f"data/keys/{name}.pem", encode_pem(key))
    for seal in contents.recipients:
        yield _json_member(bag, f"data/keys/{seal.use}.pub", seal.to_json())


def _encode_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def encode_pem(key: VerifyKey) -> bytes:
    """Return the Ed25519 public key as every tool reads it."""
    return ed25519.Ed25519PublicKey.from_public_bytes(key.ed25519).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _json_member(bag: BagTally, path: str, document: Any) -> Member:
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    return bag.add_content(path, f"{text}\n".encode())
