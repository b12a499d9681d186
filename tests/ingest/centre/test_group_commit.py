"""Calls of many threads, done by one of them for all."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.centre.group_commit import Together
from storage.errors import CatalogueBusyError, TextError


class Doubling:
    """Doubles numbers; the first call waits until the test lets it go on."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.at_work = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[int]:
        with self.at_work:  # never two at once: a second one would find it taken
            self.calls.append(list(items))
            self.begun.set()
            assert self.go_on.wait(10)
            if -13 in items:
                raise TextError(problem="no such number")
            if -99 in items:
                raise CatalogueBusyError(database="catalogue")
            return [2 * item for item in items]


def ask_all(act: Doubling, first: int, others: Sequence[int]) -> list[int | str]:
    """Ask for one, then for the others while that is being done; return answers or error codes."""
    together = Together(act)

    def ask(item: int) -> int | str:
        try:
            return together(item)
        except (TextError, CatalogueBusyError) as error:
            return error.code

    with ThreadPoolExecutor(len(others) + 1) as pool:
        asked = [pool.submit(ask, first)]
        assert act.begun.wait(10)
        asked += [pool.submit(ask, other) for other in others]
        while len(together._waiting) < len(others):
            time.sleep(0.001)
        act.go_on.set()
        return [one.result(10) for one in asked]


def test_what_came_meanwhile_is_done_at_once() -> None:
    act = Doubling()
    assert ask_all(act, 1, range(2, 40)) == [2 * item for item in range(1, 40)]
    assert act.calls[0] == [1]
    assert sorted(act.calls[1]) == list(range(2, 40))
    assert len(act.calls) == 2


def test_many_are_done_in_bounded_lots() -> None:
    act = Doubling()
    assert ask_all(act, 0, range(1, 101)) == [2 * item for item in range(101)]
    assert [len(call) for call in act.calls] == [1, 64, 36]


def test_one_that_cannot_be_done_costs_nobody_else_theirs() -> None:
    act = Doubling()
    assert ask_all(act, 1, [2, -13, 4]) == [2, 4, "text", 8]
    assert [len(call) for call in act.calls] == [1, 3, 1, 1, 1]


def test_what_is_nobodys_fault_is_told_to_all() -> None:
    act = Doubling()
    assert ask_all(act, 1, [2, -99, 4]) == [2, *["catalogue-busy"] * 3]
    assert len(act.calls) == 2


def test_whoever_dies_at_work_leaves_nobody_waiting() -> None:
    def act(_items: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    together = Together(act)
    for item in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            together(item)


def test_an_act_that_answers_too_few_leaves_nobody_waiting() -> None:
    together: Together[int, int] = Together(lambda items: list(items)[1:])
    with pytest.raises(ValueError, match="shorter"):
        together(1)
