"""Prepares the machine before each sample: caches, memory, other processes. bench/README.md describes it."""
import ctypes
import mmap
import os
import pathlib
import platform
import resource
import subprocess
import threading
import time

import numpy

PAGE = mmap.PAGESIZE
TICKS = os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]


def prewarm(size):
    """Allocates and frees `size` bytes, in huge and in small pages. After a virtual machine has returned free memory to
    its host, the first touch costs up to thirty times as much; this must not happen in a sample."""
    for advice in (mmap.MADV_HUGEPAGE, mmap.MADV_NOHUGEPAGE):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(advice)
            view = numpy.frombuffer(memory, dtype=numpy.uint8)
            view[::PAGE] = 1
            del view


def reread(path):
    """Reads every byte once, in large reads, so that the page cache contains the file in the same way for all sides."""
    buffer = bytearray(8 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def resident(path):
    """Returns the fraction of the file that is in the page cache, 0 to 1."""
    size = os.path.getsize(path)
    options = {"flags": mmap.MAP_PRIVATE, "prot": mmap.PROT_READ}
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, **options) as memory:
        view = numpy.frombuffer(memory, dtype=numpy.uint8)
        pages = numpy.zeros((size + PAGE - 1) // PAGE, dtype=numpy.uint8)
        if LIBC.mincore(view.ctypes.data, size, pages.ctypes.data) != 0:
            raise OSError(ctypes.get_errno(), "mincore")
        del view
        return float((pages & 1).mean())


def make_resident(path):
    for _ in range(5):
        reread(path)
        if resident(path) == 1:
            return
    raise SystemExit(f"error: {path} does not stay in the page cache: too little memory is free")


def settle(path):
    """Syncs the file, drops it from the page cache, and reads it again. The cache then has large pages, as after a
    boot. Writing or partial eviction leaves small pages, and mapping them costs ten times as much."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    reread(path)


class Clock:
    """Measures the share of processor time that other processes used since start()."""

    def start(self):
        self.wall, self.idle, self.own = time.monotonic(), idle_seconds(), own_seconds()
        return self

    def foreign_share(self):
        capacity = (time.monotonic() - self.wall) * os.cpu_count()
        busy = capacity - (idle_seconds() - self.idle) - (own_seconds() - self.own)
        return max(0.0, busy / capacity)


def idle_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def own_seconds():
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(used.ru_utime + used.ru_stime for used in usages)
    return ended + sum(map(seconds_of, living_children()))


def living_children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return file.read().split()


def seconds_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_until_quiet(max_seconds):
    """Returns when other processes were idle for 50 ms, or after `max_seconds`."""
    end = time.monotonic() + max_seconds
    while True:
        clock = Clock().start()
        time.sleep(0.05)
        if clock.foreign_share() <= 0.1 or time.monotonic() > end:
            return


def status_kib(pid, *fields):
    """Returns fields of /proc/PID/status in KiB, or an empty list after the process has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = dict(line.split(":", 1) for line in status)
        return [int(found[field].split()[0]) for field in fields]
    except (ProcessLookupError, FileNotFoundError, KeyError):
        return []


def family_of(pid):
    """Returns the process and its descendants."""
    family = [pid]
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            family += [member for child in children.read_text().split() for member in family_of(int(child))]
        except OSError:
            pass  # the process has ended
    return family


def peaks_mib(command):
    """Runs `command`. Returns the peaks of VmRSS and RssAnon of all its processes, sampled every millisecond."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    resident_kib = anonymous_kib = 0
    while process.poll() is None:
        found = [status_kib(pid, "VmRSS", "RssAnon") for pid in family_of(process.pid)]
        resident, anonymous = (sum(column) for column in zip(*filter(None, found))) if any(found) else (0, 0)
        resident_kib, anonymous_kib = max(resident_kib, resident), max(anonymous_kib, anonymous)
        time.sleep(0.001)
    if process.returncode != 0:
        raise SystemExit(f"error: {' '.join(map(str, command))} ended with {process.returncode}")
    return resident_kib / 1024, anonymous_kib / 1024


class Watch:
    """Samples the memory of processes every millisecond while `work` runs. run() returns {name: (RssAnon, VmHWM)}, the
    peaks in MiB. `processes` returns {name: process} of the processes that exist."""

    def __init__(self, processes):
        self.processes, self.seen = processes, {}

    def run(self, work):
        working = threading.Thread(target=work)
        working.start()
        while working.is_alive():
            self.sample()
            time.sleep(0.001)
        return self.seen

    def sample(self):
        for name, process in self.processes().items():
            if found := status_kib(process.pid, "RssAnon", "VmHWM"):
                before = self.seen.get(name, (0, 0))
                self.seen[name] = tuple(max(kib / 1024, peak) for kib, peak in zip(found, before))


def growth_mib(work):
    """Returns the MiB that `work` adds to the memory of this process. It runs in a fork."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as reset:
            reset.write("5")  # resets the peak
        before = status_kib("self", "VmRSS")[0]
        work()
        os.write(writer, str(status_kib("self", "VmHWM")[0] - before).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        grown = answer.read()
    os.waitpid(child, 0)
    return int(grown) / 1024


def description():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE / 2**30
    return f"{model}, {os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}"
