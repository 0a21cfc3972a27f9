"""What is measured: a library's call in this process, the same in a fresh one, or a whole program. Each is a Side."""
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


# How much of what was opened is looked at within the sample: nothing unless a side says otherwise.
BYTES, PAGES = "every byte read", "every page touched"


class Side:
    """One contender. `touched`: BYTES or PAGES of all its tensors. `output`: the file that it writes; where `summed`, the same bytes as other sides write."""

    def __init__(self, name, touched="", output=None, summed=True):
        self.name, self.touched, self.output, self.summed = name, touched, output, summed
        self.sum = None

    def prepare(self):
        """Before each sample, not measured."""
        if self.output and self.output.exists():
            self.output.unlink()
            os.sync()  # what freeing the space sets off is waited for

    def sample(self):
        """Seconds."""
        raise NotImplementedError

    def result(self):
        """Of the last sample, the sum of the bytes read or written: the same for all sides of a case that have one. Not measured."""
        return sum_of_file(self.output) if self.output and self.summed else self.sum

    def peak_mib(self):
        """The most memory that the work takes, files in memory included; measured apart from the time."""


class Native(Side):
    """depickle, opening a file; as many times in one sample as make it measurable."""

    def __init__(self, path, times=1, touched=""):
        super().__init__("depickle", touched)
        self.path, self.times = str(path).encode(), times

    def sample(self):
        number = ctypes.c_uint64()
        seconds = NATIVE.bench_open_and_sum(self.path, number) if self.touched else NATIVE.bench_open(self.path, self.times, number)
        if seconds < 0:
            raise SystemExit(f"error: {self.path.decode()}: depickle could not open it")
        self.sum = number.value if self.touched else None
        return seconds

    def peak_mib(self):
        return machine.growth_mib(self.sample)


class Call(Side):
    """A peer's call in this process. `load` gives a value that is let go after the clock has stopped; a dictionary of tensors where touched."""

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
            return None  # torch's threads do not survive in the copy of this process that growth_mib makes
        return machine.growth_mib(self.sample)


class Fresh(Side):
    """A peer's call, the first one in a process that has imported everything already. fresh.py knows the calls."""

    def __init__(self, name, call, *words, output=None):
        super().__init__(name, output=output)
        self.command, self.process, self.grown_mib = [sys.executable, str(HERE / "fresh.py"), call, *map(str, words)], None, None

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
    """A whole program, from its start to its end. `check` looks at what it did."""

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
    """With NATIVE.bench_sum, what NATIVE.bench_open_and_sum says of the same tensors; added up by the same code."""
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
    """{name: (dtype, shape)} as depickle sees the file."""
    size = NATIVE.bench_table(str(path).encode(), None, 0)
    text = ctypes.create_string_buffer(size)
    NATIVE.bench_table(str(path).encode(), text, size)
    rows = (line.rsplit(" ", 2) for line in text.raw.decode().splitlines())
    return {name: (dtype, [int(number) for number in shape.split(",") if number]) for name, dtype, shape in rows}
