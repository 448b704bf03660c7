"""Files read and written with aiofiles: name and value, a tab between them.

A tenth of the files that bench_file.c takes, as it is so much slower; 64 at
once. The folder to work in is the argument.
"""

import asyncio
import os
import sys
import tempfile
import time

import aiofiles

FILES = 1000
TASKS = 64


def show(name, value):
    print(f"{name}\t{value:.6g}", flush=True)


async def each(paths, work):
    rest = iter(paths)

    async def take_turns():
        for path in rest:
            await work(path)

    await asyncio.gather(*(take_turns() for _ in range(TASKS)))


async def read(path):
    async with aiofiles.open(path, "rb") as file:
        await file.read()


def write(content):
    async def work(path):
        async with aiofiles.open(path, "wb") as file:
            await file.write(content)

    return work


def measure(name, paths, work, cpu_name=None):
    asyncio.run(each(paths, work))  # the pool's threads, the page cache
    cpu, start = time.process_time(), time.perf_counter()
    asyncio.run(each(paths, work))
    show(name, len(paths) / (time.perf_counter() - start))
    if cpu_name:
        show(cpu_name, (time.process_time() - cpu) * 1e6 / len(paths))


def drop(paths):
    for path in paths:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_sizes(folder):
    for name, size in ("4k", 4096), ("64k", 65536):
        paths = [f"{folder}/{name}-{i}" for i in range(FILES)]
        asyncio.run(each(paths, write(bytes(size))))
        os.sync()
        measure(f"read_{name}", paths, read,
                "read_4k_cpu" if name == "4k" else None)
        if name == "4k":
            drop(paths)
            start = time.perf_counter()
            asyncio.run(each(paths, read))
            show("read_4k_cold", FILES / (time.perf_counter() - start))


def main():
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        read_sizes(folder)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        paths = [f"{folder}/{i}" for i in range(FILES)]
        measure("write_4k", paths, write(bytes(4096)))


if __name__ == "__main__":
    main()
