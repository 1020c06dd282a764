"""Reading, computing and writing at the same time, by threads.

Order is kept, and what is held is bounded. A fault is told where the caller takes what it happened
to. When the caller stops (an exception, Ctrl-C, the iterator closed), nothing more is begun, and
what is under way is waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from typing import Any, TypeVar

AHEAD = 2  # pictures begun beyond the one in use; a large photo has tens of megabytes
READERS = 2
WRITERS = 2

Item = TypeVar("Item")
Read = TypeVar("Read")
Worked = TypeVar("Worked")
Written = TypeVar("Written")

_END: Any = object()


def started(
    function: Callable[[Item], Written],
    items: Iterable[Item],
    *,
    threads: int,
    ahead: int = AHEAD,
) -> Generator[tuple[Item, Future[Written]], None, None]:
    """Each item with what becomes of `function(item)`, in order.

    The function runs on so many threads, with one thread in order; the items are drawn on the
    caller's. At most `ahead` items are begun beyond the one that was taken last. What `items`
    raises comes after the items before it.
    """
    pending: deque[tuple[Item, Future[Written]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        try:
            for item in items:
                pending.append((item, pool.submit(function, item)))
                if len(pending) > ahead:
                    yield pending.popleft()
        except Exception:
            while pending:
                yield pending.popleft()
            raise
        while pending:
            yield pending.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def prefetched(items: Iterable[Item], *, ahead: int = AHEAD) -> Generator[Item, None, None]:
    """The items, drawn on a thread of their own, at most `ahead` beyond the one taken last."""
    source = iter(items)
    with closing(
        started(lambda _: next(source, _END), repeat(None), threads=1, ahead=ahead)
    ) as drawn:
        for _, future in drawn:
            item = future.result()
            if item is _END:
                return
            yield item


def overlapped(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], Worked],
    write: Callable[[Item, Worked], Written],
) -> Generator[tuple[Item, Future[Written]], None, None]:
    """Each item with what becomes of reading, working on and writing it, in order.

    `read` and `write` run on a few threads each, several items at once; `work` runs on the
    caller's, one item after the other. What a stage raises on an item is in the item's future; the
    stages after it are passed over.
    """

    def work_on_all() -> Iterator[tuple[Item, Future[Worked]]]:
        for item, picture in pictures:
            yield item, _attempt(work, item, picture)

    def finish(worked: tuple[Item, Future[Worked]]) -> Written:
        item, result = worked
        return write(item, result.result())

    with (
        closing(started(read, items, threads=READERS)) as pictures,
        closing(started(finish, work_on_all(), threads=WRITERS)) as outcomes,
    ):
        for (item, _), outcome in outcomes:
            yield item, outcome


def _attempt(
    work: Callable[[Item, Read], Worked], item: Item, picture: Future[Read]
) -> Future[Worked]:
    """What becomes of working on an item, at once."""
    result: Future[Worked] = Future()
    try:
        result.set_result(work(item, picture.result()))
    except Exception as error:
        result.set_exception(error)
    return result
