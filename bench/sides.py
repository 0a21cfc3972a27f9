"""The sides of a case: a call in this process, a call in a new process, or a whole program."""
import ctypes
import mmap
import os
import pathlib
import subprocess
import sys
import time

import numpy

import machine

HERE = pathlib.Path(__file__).parent
BIN = HERE.parent / "build/bench/bin"
PROGRAM = BIN / "depickle"
NATIVE_FILE = BIN / "depickle_bench.so"
NATIVE = ctypes.CDLL(str(NATIVE_FILE))
NATIVE.bench_open.restype = NATIVE.bench_open_and_sum.restype = ctypes.c_double
NATIVE.bench_open.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64)]
NATIVE.bench_open_and_sum.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint64)]
NATIVE.bench_sum.restype = NATIVE.bench_touch.restype = NATIVE.bench_table.restype = ctypes.c_uint64
NATIVE.bench_sum.argtypes = NATIVE.bench_touch.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
NATIVE.bench_table.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64]


# Which bytes of the opened tensors a sample reads; none by default.
BYTES, PAGES = "every byte read", "every page touched"


class Side:
    """One side. `touched`: BYTES or PAGES of all its tensors. `output`: the file that it writes; if `summed`, its bytes
    are those of the other sides."""

    def __init__(self, name, touched="", output=None, summed=True):
        self.name, self.touched, self.output, self.summed = name, touched, output, summed
        self.sum = None

    def prepare(self):
        """Runs before each sample; not timed."""
        if self.output and self.output.exists():
            self.output.unlink()
            os.sync()  # waits until the space is free

    def sample(self):
        """Returns the seconds."""
        raise NotImplementedError

    def result(self):
        """Returns the sum of the bytes that the last sample read or wrote, equal for all sides of a case. Not timed."""
        return sum_of_file(self.output) if self.output and self.summed else self.sum

    def peak_mib(self):
        """Returns the peak of memory, with mapped files; measured separately from the time."""


class Native(Side):
    """depickle opens a file, `times` times in one sample, so that the time is measurable."""

    def __init__(self, path, times=1, touched=""):
        super().__init__("depickle", touched)
        self.path, self.times = str(path).encode(), times

    def sample(self):
        number = ctypes.c_uint64()
        if self.touched:
            seconds = NATIVE.bench_open_and_sum(self.path, number)
        else:
            seconds = NATIVE.bench_open(self.path, self.times, number)
        if seconds < 0:
            raise SystemExit(f"error: {self.path.decode()}: depickle could not open it")
        self.sum = number.value if self.touched else None
        return seconds

    def peak_mib(self):
        return machine.growth_mib(self.sample)


class Call(Side):
    """A peer's call in this process. `load` returns a value (a dict of tensors if touched), freed after the timing."""

    def __init__(self, name, load, times=1, **options):
        super().__init__(name, **options)
        self.load, self.times = load, times

    def sample(self):
        start = time.perf_counter()
        for _ in range(self.times):
            loaded = self.load()
        if self.touched:
            self.sum = sum_of_tensors(loaded, NATIVE.bench_sum if self.touched == BYTES else NATIVE.bench_touch)
        return (time.perf_counter() - start) / self.times

    def peak_mib(self):
        if self.output:
            return None  # growth_mib forks, and the threads of torch do not survive a fork
        return machine.growth_mib(self.sample)


class Fresh(Side):
    """A peer's first call in a new process that has imported everything. fresh.py defines the calls."""

    def __init__(self, name, call, *words, output=None):
        super().__init__(name, output=output)
        self.command = [sys.executable, str(HERE / "fresh.py"), call, *map(str, words)]
        self.process, self.grown_mib = None, None

    def prepare(self):
        super().prepare()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def sample(self):
        answer, _ = self.process.communicate("go\n")
        if self.process.returncode != 0:
            raise SystemExit(f"error: {self.command} ended with {self.process.returncode}")
        seconds, self.grown_mib = map(float, answer.split())
        return seconds

    def peak_mib(self):
        self.prepare()
        self.sample()
        return self.grown_mib


class Program(Side):
    """A whole program, from its start to its end. `check` verifies its output."""

    def __init__(self, name, *command, times=1, check=None, **options):
        super().__init__(name, **options)
        self.command, self.times, self.check = list(map(str, command)), times, check

    def sample(self):
        silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
        start = time.perf_counter()
        for _ in range(self.times):
            pid = os.posix_spawnp(self.command[0], self.command, os.environ, file_actions=silent)
            _, status = os.waitpid(pid, 0)
            if status != 0:
                raise SystemExit(f"error: {' '.join(self.command)} ended with {os.waitstatus_to_exitcode(status)}")
        return (time.perf_counter() - start) / self.times

    def result(self):
        if self.check:
            self.check()
        return super().result()

    def peak_mib(self):
        self.prepare()
        return machine.peaks_mib(self.command)[0]


def sum_of_tensors(tensors, add_up):
    """Returns the sum of all tensors. NATIVE.bench_sum gives the same sum as NATIVE.bench_open_and_sum."""
    return sum(add_up(address_of(tensor), tensor.nbytes) for tensor in tensors.values()) % 2**64


def address_of(tensor):
    return tensor.ctypes.data if isinstance(tensor, numpy.ndarray) else tensor.data_ptr()


def sum_of_file(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        view = numpy.frombuffer(memory, dtype=numpy.uint8)
        total = NATIVE.bench_sum(view.ctypes.data, view.size)
        del view
        return total


def table_of(path):
    """Returns {name: (dtype, shape)} as depickle reads the file."""
    size = NATIVE.bench_table(str(path).encode(), None, 0)
    text = ctypes.create_string_buffer(size)
    NATIVE.bench_table(str(path).encode(), text, size)
    rows = (line.rsplit(" ", 2) for line in text.raw.decode().splitlines())
    return {name: (dtype, [int(number) for number in shape.split(",") if number]) for name, dtype, shape in rows}
