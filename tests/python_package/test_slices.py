"""get_slice(name)[index] equals get_tensor(name)[index], on every backend."""

import random

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

from depickle._core import SafetensorError, safe_open

ARRAY = np.arange(4 * 6 * 5, dtype="i4").reshape(4, 6, 5)
BACKENDS = ["mmap", "pread"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("slices") / "m.safetensors"
    safetensors.numpy.save_file({"a": ARRAY, "wide": np.arange(300 * 4000, dtype="f4").reshape(300, 4000)}, path)
    return path


def part(path, framework, backend, name="a"):
    return safe_open(path, framework, backend=backend).get_slice(name)


def random_index(choose):
    def item(size):
        kind = choose.randrange(4)
        if kind == 0:
            return choose.randrange(-size, size)
        bounds = [choose.choice([None, choose.randrange(-size, size + 1)]) for _ in range(2)]
        return slice(*bounds, choose.choice([None, 1, 2, 3, -1, -2])) if kind > 1 else None

    items = [item(4) for _ in range(choose.randrange(4))]  # 4 is valid for every dimension
    if choose.random() < 0.3:
        items.insert(choose.randrange(len(items) + 1), ...)
    return tuple(items)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["np", "pt"])
def test_random_indices_match_numpy(path, framework, backend):
    taken, choose = part(path, framework, backend), random.Random(6)
    for _ in range(500):
        index = random_index(choose)
        result = taken[index]
        expected = ARRAY[index]
        assert tuple(result.shape) == expected.shape and result.tolist() == expected.tolist(), index


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "index",
    [np.s_[:, 10:100], np.s_[:, 0], np.s_[:, ::3], np.s_[::-1, 5], np.s_[::7, ::-1000], np.s_[..., -1:], np.s_[7]],
)
def test_columns_of_wide_rows(path, backend, index):
    wide = np.arange(300 * 4000, dtype="f4").reshape(300, 4000)
    for framework in ("np", "pt"):
        assert np.array_equal(np.asarray(part(path, framework, backend, "wide")[index]), wide[index])


@pytest.mark.parametrize("backend", BACKENDS)
def test_masks_arrays_and_numpy_integers(path, backend):
    mask, places = np.array([True, False, True, True]), np.array([3, 0])
    taken = part(path, "np", backend)
    for index in (mask, places, np.int64(2), (slice(None), places), [], True):
        assert np.array_equal(taken[index], ARRAY[index])
    taken = part(path, "pt", backend)
    for index in (torch.tensor(mask), torch.tensor(places), np.int64(2)):
        assert taken[index].tolist() == ARRAY[np.asarray(index)].tolist()


def test_an_element_is_an_array(path):
    for backend in BACKENDS:
        element = part(path, "np", backend)[1, 2, 3]
        assert isinstance(element, np.ndarray) and element.shape == () and element == ARRAY[1, 2, 3]


INVALID = [
    np.s_[11],
    np.s_[-11],
    np.s_[1, 2, 3, 4],
    np.s_[:20],
    np.s_[:, :20],
    np.s_[2:, -7],
    np.s_[2:, 20],
    np.s_[20:],
    np.s_[..., ...],
    np.s_[1.5],
    "a",
    np.s_[::0],
    [0, 1],
    ((), 1),
    np.s_[1:2:3, 9],
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("index", INVALID, ids=str)
def test_errors_for_numpy_match_upstream(path, backend, index):
    with pytest.raises(safetensors.SafetensorError) as theirs:
        safetensors.safe_open(path, "np").get_slice("a")[index]
    with pytest.raises(SafetensorError) as ours:
        part(path, "np", backend)[index]
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(("backend", "error"), [("mmap", IndexError), ("pread", SafetensorError)])
def test_torch_clamps_slices_on_both_backends(path, backend, error):
    taken = part(path, "pt", backend)
    assert taken[:20, -9:].tolist() == ARRAY[:20, -9:].tolist()
    with pytest.raises(error, match="index 11 (is )?out of bounds"):
        taken[11]


@pytest.mark.parametrize("backend", BACKENDS)
def test_f4_is_indexed_in_pairs(tmp_path, backend):
    packed = torch.arange(32, dtype=torch.uint8).reshape(4, 8)
    safetensors.torch.save_file({"a": packed.view(torch.float4_e2m1fn_x2)}, tmp_path / "f4.safetensors")
    taken = part(tmp_path / "f4.safetensors", "pt", backend)
    assert taken.get_shape() == [4, 16] and taken.get_dtype() == "F4"
    for index in (np.s_[:], np.s_[1:3], np.s_[:, 2:5], np.s_[3, ::2]):
        assert taken[index].dtype == torch.float4_e2m1fn_x2
        assert torch.equal(taken[index].contiguous().view(torch.uint8), packed[index])
