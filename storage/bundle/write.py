"""Write a bundle: a BagIt folder whose every statement can be checked without us.

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
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from storage.bundle.bag import BagWriter
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
_LONGEST = 100


def write_bundle(
    folder: Path,
    contents: Contents,
    centre: SigningKey,
    progress: Callable[[str, int], None] = lambda _recording_id, _size: None,
) -> str:
    """Write the bundle and return the SHA-256 (hex) of its payload manifest.

    Every original is hashed on its way out and compared with its signed record. A bundle that
    could not be finished leaves nothing behind: it would be plaintext that nobody answers for.
    Raises: FileExistsError (the folder was there, and stays), FixityError, OSError.
    """
    bag = BagWriter(folder)
    try:
        return _write_files(bag, contents, centre, progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_files(
    bag: BagWriter, contents: Contents, centre: SigningKey, progress: Callable[[str, int], None]
) -> str:
    _put_json(bag, "data/case.json", dict(contents.case))
    for action in contents.actions:
        at = f"data/actions/{action.id}"
        _put_json(bag, f"{at}/facts.json", action.facts)
        _put_json(bag, f"{at}/findings.json", action.verdict)
        if action.later is not None:
            _put_json(bag, f"{at}/later.json", action.later)
    for recording in contents.recordings:
        size = _write_recording(bag, recording, contents)
        progress(recording.id, size)
    _write_custody(bag, contents)
    _write_keys(bag, contents)
    for digest, files in contents.rulebooks.items():
        for name, content in files.items():
            bag.put(f"data/rulebook/{digest}/{name}", [content])
    listing = _build_listing(contents)
    _put_json(bag, "data/evidence-list.json", listing)
    actions = {
        action.id: JudgedAction(action.facts, action.verdict, action.later)
        for action in contents.actions
    }
    bag.put("data/evidence-list.html", [evidence_list(contents.case, listing, actions).encode()])
    bag.put("data/VERIFY.md", [GUIDE.read_bytes()])
    bag.put(PAGE_PATH, [build_page()])
    metadata = about_bag(contents.case, contents.made_at.isoformat(), contents.software)
    manifest = bag.write_manifest(metadata)
    statement = {
        "v": BUNDLE_VERSION,
        "case": contents.case["id"],
        "export": contents.export,
        "manifest": {"sha-256": manifest},
        "checkpoint": {"sha-256": Digest.compute(contents.checkpoint.encode()).hex},
        "made_at": contents.made_at.isoformat(),
        "made_by": contents.made_by,
        "software": contents.software,
    }
    # Signed last: one signature over the manifest covers every payload file.
    signed = sign_document(centre, BUNDLE_DOMAIN, statement)
    message, signature = detach_signature(signed, BUNDLE_DOMAIN)
    bag.put("bundle.json", [signed])
    bag.put("bundle.message", [message])
    bag.put("bundle.ed25519", [signature])
    bag.close()
    return manifest


def about_bag(case: Mapping[str, Any], made_at: str, software: str) -> dict[str, str]:
    """Return what `bag-info.txt` tells of a case's bundle; `made_at` is ISO 8601."""
    return {
        "Source-Organization": str(case["township"]),
        "External-Identifier": str(case["number"]),
        "Bagging-Date": made_at[:10],
        "Bag-Software-Agent": software,
    }


def _write_recording(bag: BagWriter, recording: BundledRecording, contents: Contents) -> int:
    at = f"data/recordings/{recording.id}"
    record = SealedRecord.verify(recording.record, contents.stations)
    if recording.original is not None:
        digest = bag.put(f"{at}/original/{safe_name(recording.name)}", recording.original())
        expected = record.original.hex
    else:
        digest = bag.put(f"{at}/payload", recording.payload())
        expected = record.payload_digest.hex
    if digest != expected:
        raise FixityError(part="export", recording=recording.id, expected=expected, found=digest)
    bag.put(f"{at}/envelope.json", [recording.envelope])
    for name, document, domain in (
        ("record", recording.record, RECORD_DOMAIN),
        ("receipt", recording.receipt, RECEIPT_DOMAIN),
    ):
        bag.put(f"{at}/{name}.json", [document])
        message, signature = detach_signature(document, domain)
        bag.put(f"{at}/{name}.message", [message])
        bag.put(f"{at}/{name}.ed25519", [signature])
    return record.size


def detach_signature(document: bytes, domain: str) -> tuple[bytes, bytes]:
    """Return the exact bytes that were signed, and the raw Ed25519 signature over them."""
    content = canonical.decode(document)
    signature = next(
        candidate["sig"] for candidate in content["signatures"] if candidate["alg"] == ED25519
    )
    return signed_message(domain, content["body"]), base64.b64decode(signature)


def safe_name(untrusted_name: str) -> str:
    """Return a file name that every file system takes and no shell trips over."""
    stem, dot, suffix = untrusted_name.rpartition(".")
    stem, suffix = (stem, suffix) if dot else (suffix, "")
    cleaned = (
        _UNSAFE.sub("_", stem).strip("._")[:_LONGEST].encode()[:_LONGEST].decode(errors="ignore")
    )
    tail = _UNSAFE.sub("", suffix)[:10]
    return f"{cleaned or 'original'}.{tail}" if tail else cleaned or "original"


def _write_custody(bag: BagWriter, contents: Contents) -> None:
    bag.put("data/custody/checkpoint", [contents.checkpoint.encode()])
    message, signature = plain_signature(contents.checkpoint, contents.log)
    bag.put("data/custody/checkpoint.message", [message])
    bag.put("data/custody/checkpoint.ed25519", [signature])
    bag.put("data/custody/entries.jsonl", _entry_lines(contents.entries))
    bag.put("data/custody/nodes.jsonl", _node_lines(contents.nodes))


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


def _write_keys(bag: BagWriter, contents: Contents) -> None:
    signers = [("centre", contents.centre), ("log", contents.log)]
    # A station that was enrolled again has several keys.
    signers += [(f"station-{key.name}-{key.kid}", key) for key in contents.stations]
    for name, key in signers:
        _put_json(bag, f"data/keys/{name}.verify", key.to_json())
        bag.put(f"data/keys/{name}.pem", [encode_pem(key)])
    for seal in contents.recipients:
        _put_json(bag, f"data/keys/{seal.use}.pub", seal.to_json())


def _encode_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def encode_pem(key: VerifyKey) -> bytes:
    """Return the Ed25519 public key as every tool reads it."""
    return ed25519.Ed25519PublicKey.from_public_bytes(key.ed25519).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _put_json(bag: BagWriter, path: str, document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    bag.put(path, [f"{text}\n".encode()])
