"""L1 of a bundle's log: its entries stand under the signed head, and earlier heads lead there.

Bundles of version 2 hold the chains of their case and the nodes that prove them; those of version 1
held every entry of the log, and each of the case's with a proof of its own.
"""

from collections.abc import Iterator

from policies.identifiers import ActionId, Subject
from storage.bundle.reading import BundleFiles
from storage.custody.checkpoint import Checkpoint, log_keys
from storage.custody.entries.event import parse_leaf
from storage.custody.merkle import tree
from storage.custody.merkle.partial_tree import PartialTree
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT
from storage.custody.origin import check_change
from storage.custody.verify import verify_entry


def shared_proof(bundle: BundleFiles) -> Iterator[str]:
    """Yield what is not proven under the bundle's checkpoint (version 2)."""
    head, heads = bundle.head, list(_list_earlier_heads(bundle))
    leaves = {entry.index: tree.leaf_hash(entry.leaf) for entry in bundle.entries}
    partial_tree = PartialTree(
        leaves, bundle.read_nodes(), [checkpoint.size for checkpoint in heads], head.size
    )
    if partial_tree.compute_root(head.size) != head.root:
        yield "the entries do not lead to the signed root"
        return
    for checkpoint in heads:
        # Earlier heads too: receipts rest on them, and one of another history would lead elsewhere.
        if partial_tree.compute_root(checkpoint.size) != checkpoint.root:
            yield f"the entries do not lead to the signed root of size {checkpoint.size}"


def whole_log(bundle: BundleFiles) -> Iterator[str]:
    """Recompute every signed root that the bundle holds over all leaves (version 1)."""
    newest = bundle.head
    heads: dict[int, Checkpoint] = {}
    for head in (*_list_earlier_heads(bundle), newest):
        # Two signed heads of one size with two roots are two histories.
        if heads.setdefault(head.size, head).root != head.root:
            yield f"two heads of size {head.size}"
    if any(size > newest.size for size in heads):
        yield "a receipt is newer than the checkpoint"
    walk = tree.Frontier()
    for leaf in bundle.read_leaves():
        walk.add(tree.leaf_hash(leaf))
        signed = heads.get(walk.size)
        if signed is not None and signed.root != walk.compute_root():
            yield f"the leaves do not lead to the signed root of size {walk.size}"
    # As many as were signed: leaves beyond would belong to no signed head.
    if walk.size != newest.size:
        yield f"{walk.size} leaves, but the checkpoint says {newest.size}"


def own_proofs(bundle: BundleFiles) -> Iterator[str]:
    """Every entry is proven; and no leaf upon what the bundle is about was left out (version 1)."""
    keys = log_keys(bundle.keys.log, bundle.keys.log.name)
    for entry in bundle.entries:
        verified_entry = verify_entry(entry.leaf.decode(), entry.proof or "", keys)
        # A proof under some other head of the log says nothing of this one.
        if verified_entry.index != entry.index or verified_entry.head != bundle.head:
            yield f"entry {entry.index}: proven under another number or head"
    indices = {entry.index for entry in bundle.entries}
    subjects = _collect_subjects(bundle)
    for index, leaf in enumerate(bundle.read_leaves()):
        if index not in indices and parse_leaf(leaf)["subject"] in subjects:
            yield f"entry {index}: about this case, but left out"


def check_origins(bundle: BundleFiles) -> Iterator[str]:
    """Every origin that the log gave up before this head, as its own entry says."""
    by_index = {entry.index: entry for entry in bundle.entries}
    for number, former in enumerate(bundle.keys.log.former):
        # A change after this head is not in this tree; nothing here rests on it.
        if bundle.head.size <= former.size:
            continue
        change = by_index.get(former.size)
        if change is None or change.details is None:
            yield f"entry {former.size}: the log's change of origin is left out"
            continue
        check_change(former.size, change.entry, change.details, bundle.keys.log, number)


def _list_earlier_heads(bundle: BundleFiles) -> Iterator[Checkpoint]:
    yield from bundle.receipt_heads()
    for former in bundle.keys.log.former:
        # Larger ones cannot be worked out from this bundle.
        if former.size <= bundle.head.size:
            yield Checkpoint(former.origin, former.size, former.root)


def _collect_subjects(bundle: BundleFiles) -> set[str]:
    subjects: set[str] = {Subject.of_case(bundle.read_case()["id"]), ORIGIN_SUBJECT}
    subjects |= {Subject.of_recording(folder.name) for folder in bundle.list_recordings()}
    for folder in bundle.list_actions():
        subjects.add(Subject.of_action(ActionId(folder.name)))
        officers = bundle.read_json(f"actions/{folder.name}/facts.json")["officers"]
        subjects |= {Subject.of_person(officer["id"]) for officer in officers}
    return subjects
