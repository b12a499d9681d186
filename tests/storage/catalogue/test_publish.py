"""From committed entries to a signed, published log; every crash in between is caught up."""

import shutil
import threading

import pytest
from sqlalchemy import delete

from storage.catalogue.log.custody_log import LogReader, proof_for
from storage.catalogue.log.tables import CustodyEventRow, LogCheckpointRow, LogLeafRow, LogNodeRow
from storage.catalogue.proofs import publish as publishing
from storage.catalogue.proofs.publish import newest_checkpoint, publish_head, read_tile
from storage.custody.checkpoint import open_checkpoint
from storage.custody.entries.event import PremisType
from storage.custody.merkle import tiles, tree
from storage.custody.signer import LogSigner
from storage.custody.verify import verify_entry
from storage.errors import CustodyError


def add(catalogue, count=1):
    with catalogue.write() as uow:
        for _ in range(count):
            uow.record("test.act", PremisType.VALIDATION, actor="system", subject="system")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


def test_every_entry_is_proved_by_the_published_checkpoint(catalogue, signer):
    add(catalogue, 7)
    checkpoint = publish_head(catalogue, signer)
    with catalogue.read() as session:
        assert newest_checkpoint(session) == checkpoint
        for index in range(7):
            leaf = LogReader(session).get_leaf(index)
            proof = proof_for(session, index, checkpoint)
            assert verify_entry(leaf, proof, signer.keys).index == index


def test_an_entry_after_the_checkpoint_has_no_proof_yet(catalogue, signer):
    add(catalogue)
    checkpoint = publish_head(catalogue, signer)
    add(catalogue)
    with catalogue.read() as session, pytest.raises(CustodyError):
        proof_for(session, 1, checkpoint)


def test_nothing_new_gives_the_same_checkpoint(catalogue, signer, folder):
    add(catalogue)
    assert publish_head(catalogue, signer, folder) == publish_head(catalogue, signer, folder)


def test_an_empty_log_publishes_its_empty_head(catalogue, signer, folder):
    assert open_checkpoint(publish_head(catalogue, signer, folder), signer.keys).size == 0


def check_folder(folder, signer, size):
    head = open_checkpoint((folder / "checkpoint").read_text(), signer.keys)
    assert head.size == size
    node = tiles.node_in_tiles(lambda tile: read_tile(folder, tile), size)
    assert tree.compute_root(size, node) == head.root
    frontier = tree.Frontier()
    for place in range(-(-size // 256)):
        tile = tiles.Tile(None, place, min(256, size - place * 256))
        for entry in tiles.entries_of(read_tile(folder, tile))[: tile.width]:
            frontier.add(tree.leaf_hash(entry))
    assert frontier.compute_root() == head.root


def test_the_static_log_verifies_by_itself(catalogue, signer, folder):
    for count in (1, 4, 250, 1, 300):
        add(catalogue, count)
        publish_head(catalogue, signer, folder)
    check_folder(folder, signer, 556)
    assert not list(folder.rglob("tile/0/000.p"))
    assert not list(folder.rglob(".*.new"))


@pytest.mark.parametrize("step", ["tiles", "row", "checkpoint"])
def test_a_crash_while_publishing_is_caught_up(catalogue, signer, folder, monkeypatch, step):
    add(catalogue, 3)
    publish_head(catalogue, signer, folder)
    add(catalogue, 3)

    def die(*_given):
        raise KeyboardInterrupt

    place = publishing._publish_file
    with monkeypatch.context() as patch:
        if step == "tiles":
            patch.setattr(publishing, "write_tiles", die)
        elif step == "row":
            patch.setattr(publishing, "keep_checkpoint", die)
        else:
            patch.setattr(
                publishing,
                "_publish_file",
                lambda path, data: die() if path.name == "checkpoint" else place(path, data),
            )
        with pytest.raises(KeyboardInterrupt):
            publish_head(catalogue, signer, folder)
    checkpoint = publish_head(catalogue, signer, folder)
    check_folder(folder, signer, 6)
    with catalogue.read() as session:
        assert newest_checkpoint(session) == checkpoint


def test_a_lost_folder_is_written_anew(catalogue, signer, folder):
    add(catalogue, 300)
    publish_head(catalogue, signer, folder)
    shutil.rmtree(folder)
    publish_head(catalogue, signer, folder)
    check_folder(folder, signer, 300)


def test_a_damaged_published_checkpoint_is_replaced(catalogue, signer, folder):
    add(catalogue, 3)
    publish_head(catalogue, signer, folder)
    (folder / "checkpoint").write_text("damaged")
    publish_head(catalogue, signer, folder)
    check_folder(folder, signer, 3)


def test_a_catalogue_put_back_from_an_old_copy_is_refused(catalogue, signer, another, backup):
    add(catalogue, 3)
    publish_head(catalogue, signer)
    old = backup()
    add(catalogue, 5)
    publish_head(catalogue, signer)
    restored = another(old)
    with pytest.raises(CustodyError) as refusal:
        publish_head(restored, signer)
    assert refusal.value.facts == {
        "problem": "the log is smaller than before",
        "before": 8,
        "now": 3,
    }
    add(restored, 10)
    with pytest.raises(CustodyError) as refusal:
        publish_head(restored, signer)
    assert refusal.value.facts["problem"] == "the log was rewritten"


def test_an_emptied_log_is_refused(catalogue, signer):
    add(catalogue, 3)
    publish_head(catalogue, signer)
    with catalogue.write() as uow:
        for table in (LogLeafRow, LogNodeRow, CustodyEventRow, LogCheckpointRow):
            uow.session.execute(delete(table))
    with pytest.raises(CustodyError):
        publish_head(catalogue, signer)


def test_publishers_and_writers_of_several_processes_agree(catalogue, signer, another, folder):
    failures = []

    def work():
        mine = another()
        own = LogSigner(signer._key, signer.origin, signer._state)
        try:
            for _ in range(8):
                add(mine)
                publish_head(mine, own, folder)
        except Exception as error:  # noqa: BLE001 - a thread hands every failure over
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check_folder(folder, signer, 24)
    assert signer.read_last_checkpoint() == (folder / "checkpoint").read_text()
