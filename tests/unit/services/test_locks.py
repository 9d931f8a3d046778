"""Keyed locks: one writer or many readers for each key; all or nothing; never a wait."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.services.locks import KeyedLocks, LockTakenError

keys = st.sets(st.sampled_from("abcd"))
Call = tuple[set[str], set[str]]


def conflicts(one: Call, other: Call) -> bool:
    """The model: two calls exclude each other where one writes what the other reads or writes."""
    (one_writes, one_reads), (other_writes, other_reads) = one, other
    return bool(one_writes & (other_writes | other_reads) or other_writes & one_reads)


@given(st.lists(st.tuples(keys, keys), max_size=6))
def test_hold_is_refused_exactly_where_it_conflicts_with_what_is_held(calls: list[Call]) -> None:
    locks, held = KeyedLocks(), list[Call]()
    with ExitStack() as stack:
        for call in calls:
            exclusive, shared = call
            try:
                stack.enter_context(locks.hold(exclusive=exclusive, shared=shared))
            except LockTakenError:
                assert any(conflicts(call, other) for other in held)
            else:
                assert not any(conflicts(call, other) for other in held)
                held.append(call)
    with locks.hold(exclusive="abcd"):  # a refusal and an end leave nothing held
        pass


def test_readers_share_a_key_and_keep_a_writer_out_until_the_last_leaves() -> None:
    locks = KeyedLocks()
    with locks.hold(shared=["a"]):
        with (
            locks.hold(shared=["a"]),
            pytest.raises(LockTakenError),
            locks.hold(exclusive=["a"]),
        ):
            pass
        with pytest.raises(LockTakenError), locks.hold(exclusive=["a"]):
            pass
    with locks.hold(exclusive=["a"]):
        pass


def test_refusal_names_the_key() -> None:
    locks = KeyedLocks()
    with (
        locks.hold(exclusive=["v/a"]),
        pytest.raises(LockTakenError, match="v/a"),
        locks.hold(shared=["v/a"]),
    ):
        pass


def test_hold_of_several_keys_is_all_or_nothing() -> None:
    locks = KeyedLocks()
    with (
        locks.hold(exclusive=["b"]),
        pytest.raises(LockTakenError),
        locks.hold(exclusive=["a", "b"], shared=["c"]),
    ):
        pass
    with locks.hold(exclusive=["a", "c"]):
        pass


def test_key_in_both_lists_is_held_exclusively_and_given_back_once() -> None:
    locks = KeyedLocks()
    with (
        locks.hold(exclusive=["a"], shared=["a", "a"]),
        pytest.raises(LockTakenError),
        locks.hold(shared=["a"]),
    ):
        pass
    with locks.hold(exclusive=["a"]):
        pass


def test_keys_are_given_back_after_an_error() -> None:
    locks = KeyedLocks()
    with pytest.raises(ZeroDivisionError), locks.hold(exclusive=["a"]):
        _ = 1 // 0
    with locks.hold(exclusive=["a"]):
        pass


def test_many_threads_never_hold_a_key_beside_a_writer() -> None:
    locks, guard = KeyedLocks(), threading.Lock()
    inside: Counter[str] = Counter()
    odd: list[dict[str, int]] = []

    def work(number: int) -> bool:
        kind = "writers" if number % 3 else "readers"
        lists = {"exclusive" if kind == "writers" else "shared": ["a"]}
        try:
            with locks.hold(**lists):
                with guard:
                    inside[kind] += 1
                    if inside["writers"] > 1 or (inside["writers"] and inside["readers"]):
                        odd.append(dict(inside))
                with guard:
                    inside[kind] -= 1
        except LockTakenError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        held = list(threads.map(work, range(2000)))
    assert odd == []
    assert any(held)
    with locks.hold(exclusive=["a"]):
        pass
