"""No sleeps: a stage waits on an event that only another stage sets, so it passes or it hangs."""

import threading
from itertools import count

import pytest

from encompass.run.pipeline import AHEAD, overlapped, prefetched, started

SOON = 20  # seconds, after which what should happen has not


def wait(event):
    assert event.wait(SOON)


def plain(items, **stages):
    """Stages that were not given hand on what they get."""
    stages = {
        "read": lambda item: item,
        "work": lambda _, got: got,
        "write": lambda _, got: got,
    } | stages
    return overlapped(items, **stages)


def results(outcomes):
    return [(item, outcome.result()) for item, outcome in outcomes]


def test_each_stage_gets_what_the_one_before_gave():
    outcomes = plain(
        [1, 2],
        read=lambda item: item * 10,
        work=lambda item, read: (item, read + 1),
        write=lambda item, worked: [item, *worked],
    )
    assert results(outcomes) == [(1, [1, 1, 11]), (2, [2, 2, 21])]


@pytest.mark.parametrize("number", [0, 1, AHEAD, AHEAD + 1, 50])
def test_any_number_comes_in_order(number):
    assert results(plain(range(number))) == [(i, i) for i in range(number)]


def test_order_is_kept_when_the_first_is_last_to_be_written():
    second = threading.Event()

    def write(item, _):
        second.set() if item == 1 else wait(second)
        return item

    assert results(plain([0, 1], write=write)) == [(0, 0), (1, 1)]


def test_the_next_picture_is_read_while_the_first_is_worked_on():
    read_second = threading.Event()

    def read(item):
        if item == 1:
            read_second.set()

    def work(item, _):
        return item == 0 and read_second.wait(SOON)

    assert results(plain([0, 1], read=read, work=work)) == [(0, True), (1, False)]


def test_the_first_is_written_while_the_second_is_worked_on():
    writing, worked = threading.Event(), threading.Event()

    def work(item, _):
        if item == 1:
            wait(writing)
            worked.set()

    def write(item, _):
        if item == 0:
            writing.set()
        return worked.wait(SOON)

    assert results(plain([0, 1], work=work, write=write)) == [(0, True), (1, True)]


def test_work_is_on_the_callers_thread_and_the_rest_is_not():
    threads = {}

    def note(stage):
        threads.setdefault(stage, set()).add(threading.current_thread())

    results(
        plain(
            range(9),
            read=lambda _: note("read"),
            work=lambda *_: note("work"),
            write=lambda *_: note("write"),
        )
    )
    assert threads["work"] == {threading.current_thread()}
    assert threading.current_thread() not in threads["read"] | threads["write"]


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_a_fault_is_of_its_item_alone_and_skips_the_stages_after(stage):
    reached = []

    def make(name):
        def run(item, *_):
            reached.append((name, item))
            if (name, item) == (stage, 1):
                raise ValueError(f"{name} {item}")
            return item

        return run

    names = ["read", "work", "write"]
    outcomes = dict(plain(range(3), **{name: make(name) for name in names}))
    assert [outcomes[i].result() for i in (0, 2)] == [0, 2]
    with pytest.raises(ValueError, match=f"{stage} 1"):
        outcomes[1].result()
    assert [name for name, item in reached if item == 1] == names[: names.index(stage) + 1]


@pytest.mark.parametrize("bound", [0, 1, 4])
def test_no_more_is_begun_than_agreed(bound):
    drawn = []
    outcomes = started(lambda item: item, (drawn.append(i) or i for i in count()), threads=2,
                       ahead=bound)  # fmt: skip
    for taken in range(1, 6):
        item, future = next(outcomes)
        assert (item, future.result()) == (taken - 1, taken - 1)
        assert len(drawn) == taken + bound
    outcomes.close()


def test_what_is_held_does_not_grow_with_the_number_of_items():
    drawn, held = [], []
    for taken, _ in enumerate(plain(drawn.append(i) or i for i in range(200))):
        held.append(len(drawn) - taken)
    assert max(held) <= 2 * AHEAD + 3  # read, worked on, written


def test_what_items_raise_comes_after_the_items_before():
    def items():
        yield from range(2)
        raise ValueError("broken")

    taken = []
    with pytest.raises(ValueError, match="broken"):
        taken.extend(future.result() for _, future in started(abs, items(), threads=1))
    assert taken == [0, 1]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_when_the_caller_is_stopped_nothing_more_is_begun(stop):
    begun, finished = [], []

    def work(item, _):
        if item == 1:
            raise stop

    def read(item):
        begun.append(item)
        finished.append(item)

    before = threading.active_count()
    with pytest.raises(stop):
        results(plain(range(1000), read=read, work=work))
    assert begun == finished  # waited for
    assert len(begun) <= AHEAD + 2
    assert threading.active_count() == before


def test_items_are_drawn_ahead_on_one_other_thread():
    threads, second = [], threading.Event()

    def items():
        for i in range(3):
            threads.append(threading.current_thread())
            if i == 1:
                second.set()
            yield i

    drawn = prefetched(items())
    assert next(drawn) == 0
    wait(second)
    assert list(drawn) == [1, 2]
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


def test_a_fault_of_the_source_comes_where_it_happened():
    def items():
        yield 0
        raise ValueError("broken")

    drawn = prefetched(items())
    assert next(drawn) == 0
    with pytest.raises(ValueError, match="broken"):
        next(drawn)


def test_no_more_is_drawn_than_agreed():
    drawn = []
    source = prefetched((drawn.append(i) or i for i in count()), ahead=2)
    assert [next(source) for _ in range(3)] == [0, 1, 2]
    source.close()
    assert len(drawn) <= 5
