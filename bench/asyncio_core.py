"""The runtime's figures for asyncio: name and value, a tab between them.

The same work as bench_switch.c, bench_spawn.c, bench_sync.c and
bench_sleep.c do, fewer times where it would take minutes.
"""

import asyncio
import os
import resource
import sys
import time

now = time.process_time_ns


def show(name, value):
    print(f"{name}\t{value:.6g}", flush=True)


def per(name, count, main):
    times = []
    for _ in range(3):
        start = now()
        asyncio.run(main())
        times.append((now() - start) / count)
    show(name, sorted(times)[1])


async def nothing():
    pass


async def yield_often(steps):
    for _ in range(steps):
        await asyncio.sleep(0)


def switches(tasks, steps):
    async def main():
        await asyncio.gather(*(yield_often(steps) for _ in range(tasks)))

    return main


async def spawn_and_await(count=100_000):
    for _ in range(count):
        await asyncio.create_task(nothing())


async def gather(count=100_000):
    await asyncio.gather(*(nothing() for _ in range(count)))


async def queue_of_128(count=200_000):
    queue = asyncio.Queue(128)

    async def produce():
        for i in range(count):
            await queue.put(i)

    async def consume():
        for _ in range(count):
            await queue.get()

    await asyncio.gather(produce(), consume())


async def ping_pong(count=50_000):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def ping():
        for i in range(count):
            await there.put(i)
            await back.get()

    async def pong():
        for _ in range(count):
            await back.put(await there.get())

    await asyncio.gather(ping(), pong())


def held_by_turns(make, tasks=1000, turns=50):
    async def main():
        lock = make()

        async def take_turns():
            for _ in range(turns):
                async with lock:
                    await asyncio.sleep(0)

        await asyncio.gather(*(take_turns() for _ in range(tasks)))

    return main


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def sleepers(count, duration):
    async def main():
        await asyncio.gather(*(asyncio.sleep(duration) for _ in range(count)))

    cpu, start = time.process_time(), time.perf_counter()
    asyncio.run(main())
    late = time.perf_counter() - start - duration
    return late * 1e3, (time.process_time() - cpu) * 1e3


async def memory(count=100_000):
    before = resident()
    tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(count)]
    spawned = resident()
    await asyncio.sleep(0)
    show("resident_started", (resident() - before) / count)
    show("resident_unstarted", (spawned - before) / count)
    await asyncio.gather(*tasks)


def core():
    per("switch_2", 400_000, switches(2, 200_000))
    per("switch_10000", 400_000, switches(10_000, 40))
    per("spawn_await", 100_000, spawn_and_await)
    per("gather", 100_000, gather)
    per("channel", 50_000, ping_pong)
    per("queue_128", 200_000, queue_of_128)
    per("mutex_1000", 50_000, held_by_turns(asyncio.Lock))
    per("semaphore_1000", 50_000,
        held_by_turns(lambda: asyncio.Semaphore(10)))


def sleep():
    asyncio.run(memory())
    show("sleep_10_late", sleepers(10, 0.1)[0])
    show("operations_late", sleepers(10_000, 0.1)[0])
    for name, count in ("100k", 100_000), ("1m", 1_000_000):
        late, cpu = sleepers(count, 1)
        show(f"sleep_{name}_late", late)
        show(f"sleep_{name}_cpu", cpu)


if __name__ == "__main__":
    {"core": core, "sleep": sleep}[sys.argv[1]]()
    sys.stdout.flush()
    os._exit(0)  # a million finished tasks need no tidying up
