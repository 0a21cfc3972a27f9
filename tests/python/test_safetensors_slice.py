"""Slices of a file equal those of numpy, and are read with as few and as small byte ranges as possible."""
import random

import numpy
import pytest
from safetensors.numpy import save_file

from safetensors_verdict import ask

pytestmark = pytest.mark.hostile

DTYPES = [numpy.uint8, numpy.float16, numpy.float32, numpy.int64]


def draw_index(shape, chance):
    items = []
    for size in shape[:chance.randrange(len(shape) + 1)]:
        if chance.random() < 0.3 and size:
            items.append(chance.randrange(-size, size))
        else:
            bound = lambda: chance.choice(
                [None, chance.randrange(-size - 3, size + 4), chance.choice([-(1 << 63), (1 << 63) - 1])]
            )
            items.append([bound(), bound(), chance.choice([None, 1, 1, 2, 3, -1, -2, -(1 << 63), (1 << 63) - 1])])
    if chance.random() < 0.3:
        items.insert(chance.randrange(len(items) + 1), "...")
        # Items after the ellipsis index the last dimensions, which may be smaller: only slices are always valid there.
        at = items.index("...")
        items[at + 1:] = [item if isinstance(item, list) else [None, None, -1] for item in items[at + 1:]]
    return items


def as_numpy(items):
    return tuple(slice(*item) if isinstance(item, list) else Ellipsis if item == "..." else item for item in items)


def ranges_of(positions, size):
    """Returns the fewest byte ranges that contain the elements at `positions`, in order."""
    ranges = []
    for position in positions:
        if ranges and ranges[-1][1] == position * size:
            ranges[-1][1] += size
        else:
            ranges.append([position * size, position * size + size])
    return ranges


def test_random_slices_equal_those_of_numpy(tmp_path):
    chance = random.Random(3)
    requests, expected = [], []
    for number in range(150):
        shape = [
            chance.choice([0, 1, 2, 3, 4, 5, 7]) if chance.random() < 0.9 else 0 for _ in range(chance.randrange(5))
        ]
        count = int(numpy.prod(shape, dtype=int))
        dtype = chance.choice(DTYPES)
        array = numpy.frombuffer(chance.randbytes(count * numpy.dtype(dtype).itemsize), dtype).reshape(shape)
        places = numpy.arange(count).reshape(shape)
        path = tmp_path / f"{number}.safetensors"
        save_file({"before": numpy.zeros(3, numpy.uint64), "x": array}, path)
        for _ in range(20):
            items = draw_index(shape, chance)
            requests.append({"path": str(path), "name": "x", "index": items})
            part = array[as_numpy(items)]
            expected.append(
                (
                    list(part.shape),
                    part.tobytes().hex(),
                    ranges_of(numpy.asarray(places[as_numpy(items)]).ravel().tolist(), array.itemsize),
                )
            )
    for request, answer, (shape, data, ranges) in zip(requests, ask("slice", requests), expected, strict=True):
        assert answer["accept"], (request, answer)
        assert (answer["shape"], answer["hex"], answer["ranges"]) == (shape, data, ranges), request


def test_an_invalid_index_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"x": numpy.zeros((2, 3), numpy.float32)}, path)
    for items in ([2], [-3], [0, 0, 0], ["...", "..."], [[None, None, 0]], [0, "...", 0, 0], [1 << 40]):
        (answer,) = ask("slice", [{"path": str(path), "name": "x", "index": items}])
        assert not answer["accept"], items
