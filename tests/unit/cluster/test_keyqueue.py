"""The queue behaves as client-go's workqueue does."""

import asyncio

import pytest

from tuning_operator.cluster.keyqueue import KeyQueue, QueueClosedError


async def test_a_key_added_many_times_is_taken_once() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_again_only_after_done() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)
    queue.done(key)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in "cab":
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["c", "a", "b"]


async def test_a_waiting_worker_gets_a_late_key() -> None:
    queue: KeyQueue[str] = KeyQueue()
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(getter, 1) == "a"


async def test_a_cancelled_worker_does_not_swallow_the_wake_up() -> None:
    queue: KeyQueue[str] = KeyQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_a_delayed_add_comes_after_its_delay_and_the_earliest_wish_wins() -> None:
    queue: KeyQueue[str] = KeyQueue()
    start = asyncio.get_running_loop().time()
    queue.add_after("a", 5)
    queue.add_after("a", 0.05)
    queue.add_after("a", 1)
    assert queue.waiting == 1
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    assert 0.04 <= asyncio.get_running_loop().time() - start < 0.5
    queue.done("a")
    assert queue.waiting == 0


async def test_an_add_cancels_a_delayed_add() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add_after("a", 0.02)
    queue.add("a")
    queue.done(await queue.get())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(queue.get(), 0.06)


async def test_many_delayed_keys_come_in_the_order_of_their_times() -> None:
    queue: KeyQueue[int] = KeyQueue()
    for number in (3, 1, 2):
        queue.add_after(number, 0.02 * number)
    assert [await asyncio.wait_for(queue.get(), 1) for _ in range(3)] == [1, 2, 3]


async def test_backoff_doubles_for_each_key_alone_and_is_bounded_and_forgotten() -> None:
    queue: KeyQueue[str] = KeyQueue(first_delay=1, max_delay=10, jitter=lambda: 1.0)
    assert [queue.retry("bad") for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert queue.retry("good") == 1
    assert queue.failures("bad") == 6
    queue.forget("bad")
    assert queue.retry("bad") == 1
    for _ in range(2000):
        queue.retry("worse")  # no overflow
    queue.close()


async def test_jitter_takes_up_to_half_of_the_delay() -> None:
    queue: KeyQueue[str] = KeyQueue(first_delay=1, jitter=lambda: 0.0)
    assert queue.retry("a") == 0.5
    queue.close()


async def test_one_worker_for_each_key_under_many_workers() -> None:
    queue: KeyQueue[int] = KeyQueue()
    busy: set[int] = set()
    seen = 0

    async def worker() -> None:
        nonlocal seen
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0)
            busy.remove(key)
            seen += 1
            queue.done(key)

    workers = [asyncio.create_task(worker()) for _ in range(8)]
    for round_ in range(50):
        for key in range(5):
            queue.add(key)
        if round_ % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert seen >= 5
    queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueClosedError) for result in results)


async def test_after_close_nothing_comes() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    queue.close()
    queue.add("b")
    with pytest.raises(QueueClosedError):
        await queue.get()
