"""Runs a function in several threads at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor


def in_threads(work, count=8):
    """Runs work(number) in `count` threads that start together. Returns the results, or raises a thread's exception."""
    barrier = threading.Barrier(count)

    def start(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as workers:
        return list(workers.map(start, range(count)))
