"""What ran in a thread of torch's own: where it calls hooks in a backward on a GPU."""

from __future__ import annotations

import _thread
import threading

from graphlab.observe.hooks.line_tracer import is_pythons
from graphlab.observe.marks.threads import ThreadMarks

HOOK = (lambda: None).__code__
OTHER = (lambda: 1).__code__
NOBODYS = (9, None, 0, None)


def test_the_last_call_in_the_engines_thread() -> None:
    log = ThreadMarks()
    log.begin_marks(threading.get_ident()).append((0, OTHER, 0, None))
    assert log.in_engine() == []
    engine = log.begin_marks(-1, native=True)
    engine += [(1, OTHER, 2, None), NOBODYS, (3, HOOK, 4, None), (5, HOOK, 6, None), NOBODYS]
    assert [mark.offset for mark in log.in_engine().last_call()] == [4, 6]
    assert log.marks[0][1] is OTHER


def test_two_such_threads_are_not_told_apart() -> None:
    log = ThreadMarks()
    for thread in (-1, -2):
        log.begin_marks(thread, native=True).append((1, HOOK, 2, None))
    assert log.in_engine() == []


def test_a_thread_that_python_did_not_start() -> None:
    told: list[bool] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def native() -> None:
        told.append(is_pythons(threading.get_ident()))
        # It has an entry of its own from here on.
        threading.current_thread()
        told.append(is_pythons(threading.get_ident()))
        ended.release()

    _thread.start_new_thread(native, ())
    assert ended.acquire(timeout=10)
    assert told == [False, False]
    thread = threading.Thread(target=lambda: told.append(is_pythons(threading.get_ident())))
    thread.start()
    thread.join()
    assert told[2] is True
    assert is_pythons(threading.get_ident())
