"""A centre that lies: a bundle is changed, and everything the centre signs is signed again.

Its key is the real one, so only what others signed, and what the log holds, is left to contradict.
"""

import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.bundle.bag import MANIFEST, TAG_MANIFEST, digest_of
from storage.bundle.write import BUNDLE_DOMAIN, detach_signature
from storage.custody.merkle.tree import leaf_hash, node_hash
from storage.record import RECORD_DOMAIN
from storage.signed import canonical
from storage.signed.signing import sign_document
from tests.bundles import MadeBundle


class LyingBundle:
    """A copy of a bundle in the hands of somebody with the centre's key, or the station's too."""

    def __init__(self, made: MadeBundle, copy: Path) -> None:
        self.root, self.data = made.copy(copy), copy / "data"
        self._centre, self._station = made.centre, made.station

    def put(self, path: str, data: bytes) -> None:
        """Write a file below `data/` anew; the bundle that it was copied from keeps its own."""
        target = self.data / path
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def json(self, path: str) -> Any:
        return json.loads((self.data / path).read_bytes())

    def change(self, path: str, change: Callable[[Any], None]) -> None:
        """Change a JSON file below `data/` in place."""
        told = self.json(path)
        change(told)
        self.put(path, json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True).encode())

    def entries(self) -> list[dict[str, Any]]:
        lines = (self.data / "custody/entries.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def put_entries(self, entries: list[dict[str, Any]]) -> None:
        lines = b"".join(canonical.encode(one) + b"\n" for one in entries)
        self.put("custody/entries.jsonl", lines)

    def without(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Leave entries out; the nodes that prove the others come along, as they would."""
        every = self.entries()
        gone = [one for one in every if wanted(one)]
        assert gone, "nothing to leave out: this attack attacks nothing"
        self.put_entries([one for one in every if one not in gone])
        self._put_nodes(every)
        return gone

    def _put_nodes(self, entries: list[dict[str, Any]]) -> None:
        """Give every node that entries and nodes lead to, whichever of them are needed."""
        lines = (self.data / "custody/nodes.jsonl").read_bytes().splitlines()
        known = {(level, index): b64decode(node) for level, index, node in map(json.loads, lines)}
        known |= {(0, one["index"]): leaf_hash(one["leaf"].encode()) for one in entries}
        for level in range(64):
            for at in [index for found, index in known if found == level and not index & 1]:
                if (level, at + 1) in known:
                    above = node_hash(known[level, at], known[level, at + 1])
                    known[level + 1, at >> 1] = above
        told = ([*place, b64encode(node).decode()] for place, node in sorted(known.items()))
        self.put("custody/nodes.jsonl", b"".join(canonical.encode(one) + b"\n" for one in told))

    def remove(self, path: str) -> None:
        target = self.data / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    def put_signed(self, path: str, domain: str, body: Any) -> bytes:
        """Write a record or a receipt anew, signed by whose it is, with its copies."""
        signer = self._station if domain == RECORD_DOMAIN else self._centre
        signed = sign_document(signer, domain, body)
        message, signature = detach_signature(signed, domain)
        for name, data in (("json", signed), ("message", message), ("ed25519", signature)):
            self.put(f"{path}.{name}", data)
        return signed

    def recordings(self) -> list[str]:
        return sorted(path.name for path in (self.data / "recordings").iterdir())

    def action(self) -> str:
        (found,) = (path.name for path in (self.data / "actions").iterdir())
        return found

    def sign(self) -> Path:
        """List every file anew and sign the statement; return the bundle's folder."""
        files = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        listed = [path for path in files if path.is_relative_to(self.data)]
        self._list(MANIFEST, listed)
        self._put_bag_info(listed)
        body = canonical.decode((self.root / "bundle.json").read_bytes())["body"]
        body["manifest"]["sha-256"] = digest_of(self.root / MANIFEST)
        body["checkpoint"]["sha-256"] = digest_of(self.data / "custody" / "checkpoint")
        signed = sign_document(self._centre, BUNDLE_DOMAIN, body)
        message, signature = detach_signature(signed, BUNDLE_DOMAIN)
        for name, data in (("json", signed), ("message", message), ("ed25519", signature)):
            target = self.root / f"bundle.{name}"
            target.unlink()
            target.write_bytes(data)
        tags = [path for path in files if path not in listed and path.name != TAG_MANIFEST]
        self._list(TAG_MANIFEST, tags)
        return self.root

    def _put_bag_info(self, payload: list[Path]) -> None:
        info, case = self.root / "bag-info.txt", self.json("case.json")
        oxum = f"{sum(path.stat().st_size for path in payload)}.{len(payload)}"
        said = dict(line.split(": ", 1) for line in info.read_text(encoding="utf-8").splitlines())
        said |= {"Payload-Oxum": oxum, "External-Identifier": case["number"]}
        info.unlink()
        lines = "".join(f"{name}: {value}\n" for name, value in said.items())
        info.write_text(lines, encoding="utf-8")

    def _list(self, name: str, files: list[Path]) -> None:
        lines = [f"{digest_of(path)}  {path.relative_to(self.root).as_posix()}\n" for path in files]
        target = self.root / name
        target.unlink()
        target.write_text("".join(lines), encoding="utf-8")
