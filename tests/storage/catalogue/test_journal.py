"""The station's journal: bays write at the same time, and each in its turn."""

import threading

from storage.catalogue.journal import JournalStore


def test_bays_that_write_at_once_wait_for_one_another(tmp_path):
    store = JournalStore(tmp_path / "station.db")
    wrong: list[BaseException] = []
    together = threading.Barrier(4)

    def write(name: str) -> None:
        try:
            together.wait(10)
            for count in range(40):
                store.set_bay(name, state="sealing", files_done=count, changed=str(count))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(f"bay-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert [row.files_done for row in store.bays()] == [39] * 4
    store.close()
