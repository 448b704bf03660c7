"""Requests by aiohttp: name and value, a tab between them.

The requests of bench_http.c, a tenth of them, against its server, whose port
is the argument; 64 at once. CPU for each in microseconds, requests a second.
"""

import asyncio
import resource
import sys
import time

import aiohttp

TASKS = 64


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(session, name, url, count, samples=None):
    rest = iter(range(count))

    async def take_turns():
        for _ in rest:
            if samples is None:
                async with session.get(url) as response:
                    await response.read()
            else:
                async with session.post(url, json=samples) as response:
                    await response.json(content_type=None)

    start, used = time.monotonic(), cpu()
    await asyncio.gather(*(take_turns() for _ in range(TASKS)))
    took, used = time.monotonic() - start, cpu() - used
    print(f"{name}_cpu\t{used / count * 1e6:.6g}")
    print(f"{name}\t{count / took:.6g}", flush=True)


async def download(session, name, url):
    start, size = time.monotonic(), 0
    async with session.get(url) as response:
        async for piece in response.content.iter_any():
            size += len(piece)
    print(f"{name}\t{size / (time.monotonic() - start) / 1e9:.6g}", flush=True)


async def main(base):
    samples = {"samples": [[i / 7, i / 3] for i in range(205)]}
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await measure(session, "http_get_1k", base + "1k", 4000)
        await measure(session, "http_get_32k", base + "32k", 2000)
        await measure(session, "http_post_4k", base + "post", 2000, samples)
        await download(session, "http_1g", base + "1g")


asyncio.run(main(f"http://127.0.0.1:{sys.argv[1]}/"))
