"""The machine under the bench: made quiet, warm and known before each sample. docs/performance.md says why."""
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
    """Takes and gives back `size` bytes, in huge pages and in small ones: a virtual machine that has given free memory back to its host
    pays up to thirty times for the first touch, and no sample shall."""
    for advice in (mmap.MADV_HUGEPAGE, mmap.MADV_NOHUGEPAGE):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(advice)
            view = numpy.frombuffer(memory, dtype=numpy.uint8)
            view[::PAGE] = 1
            del view


def reread(path):
    """Every byte once, in large reads, so that the page cache holds it, and holds it in the same way for all sides."""
    buffer = bytearray(8 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def resident(path):
    """The part of the file that the page cache holds, 0 to 1."""
    size = os.path.getsize(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as memory:
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
    """The file goes to the disk and out of the cache, and comes back by reading: the cache is then as it is after a download or a start of
    the machine, in large pieces. In small ones, as writing or partial eviction leaves them, mapping costs ten times as much."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    reread(path)


class Clock:
    """How much of the processors' time went to others than this process and its children, from start() on."""

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
    ended = sum(used.ru_utime + used.ru_stime for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))
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


def wait_until_quiet(patience):
    """Returns once others leave the machine alone for 50 ms, or after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        clock = Clock().start()
        time.sleep(0.05)
        if clock.foreign_share() <= 0.1 or time.monotonic() > end:
            return


def status_kib(pid, *fields):
    """Fields of /proc/PID/status, in KiB; empty once the process has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = dict(line.split(":", 1) for line in status)
        return [int(found[field].split()[0]) for field in fields]
    except (ProcessLookupError, FileNotFoundError, KeyError):
        return []


def family_of(pid):
    """The process and those that it started, and so on."""
    family = [pid]
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            family += [member for child in children.read_text().split() for member in family_of(int(child))]
        except OSError:
            pass  # it has ended
    return family


def peaks_mib(command):
    """Runs `command`; the most that it and its processes have had in memory together (VmRSS), and for themselves alone (RssAnon), looked
    at every millisecond."""
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
    """The most that processes have had in memory, looked at every millisecond while `work` runs: {name: (RssAnon, VmHWM)} in MiB.
    `processes` gives {name: process}, of those that there are by then."""

    def __init__(self, processes):
        self.processes, self.seen = processes, {}

    def run(self, work):
        working = threading.Thread(target=work)
        working.start()
        while working.is_alive():
            self.look()
            time.sleep(0.001)
        return self.seen

    def look(self):
        for name, process in self.processes().items():
            if found := status_kib(process.pid, "RssAnon", "VmHWM"):
                self.seen[name] = tuple(max(kib / 1024, before) for kib, before in zip(found, self.seen.get(name, (0, 0))))


def growth_mib(work):
    """The most that `work` adds to the memory of a process like this one: it runs in a copy of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as reset:
            reset.write("5")  # the peak counts from here
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
