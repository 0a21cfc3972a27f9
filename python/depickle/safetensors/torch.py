"""`safetensors.torch`: torch tensors in safetensors files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch

from depickle.safetensors import SafetensorError, TensorSpec, _files, deserialize, safe_open, serialize


def save(tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file with the tensors. Raises as `save_file` does."""
    alive: list[Any] = []
    return serialize(_flatten_as_ptr(tensors, alive), metadata)


def save_file(
    tensors: dict[str, torch.Tensor],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the tensors to a path, atomically, or to an open file.

    Tensors on the CPU are written without a copy and must not change meanwhile; those on other devices are copied to
    the CPU first. Raises ValueError for sparse and non-contiguous tensors, RuntimeError for tensors that share memory
    (see `save_model`). The bytes are synced to the disk only with `durable`.
    """
    alive: list[Any] = []
    _files.save(_flatten_as_ptr(tensors, alive), filename, metadata, durable)


def load(data: _files.Data, device: Any = "cpu") -> dict[str, torch.Tensor]:
    """Returns copies of the tensors of a safetensors file in memory (any buffer) or of an open file."""
    tensors = _view2torch(deserialize(_files.content(data)))
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def load_file(filename: _files.Source, device: Any = "cpu", *, backend: str | None = None) -> dict[str, torch.Tensor]:
    """Returns the tensors of a file, ordered by offset; an open file is read from its current position.

    Each tensor points into a private mapping, with a storage of exactly its own bytes; writing to it does not change
    the file.
    `device` and `backend` are those of `safe_open`.
    """
    if _files.is_readable(filename):
        return load(filename, device)
    with safe_open(filename, framework="pt", device=device, backend=backend) as file:
        return file.get_tensors()


def save_model(
    model: torch.nn.Module,
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    force_contiguous: bool = True,
    *,
    durable: bool = False,
) -> None:
    """Saves the state of a model, with each group of tied tensors stored once.

    The first of the tied names that covers the whole storage is kept; the metadata maps the other names to it, unless
    the caller's metadata has the key. Without `force_contiguous`, raises ValueError for non-contiguous tensors.
    """
    state_dict = model.state_dict()
    _check_types(state_dict)
    dropped = {name: kept for kept, names in _remove_duplicate_names(state_dict).items() for name in names}
    tensors = {name: tensor for name, tensor in state_dict.items() if name not in dropped}
    if force_contiguous:
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if dropped:
        metadata = {**dropped, **(metadata or {})}
    try:
        save_file(tensors, filename, metadata, durable=durable)
    except ValueError as error:
        hint = " Or use save_model(..., force_contiguous=True), read the docs for potential caveats."
        raise ValueError(str(error) + hint) from error


def load_model(
    model: torch.nn.Module,
    filename: _files.Source,
    strict: bool = True,
    device: Any = "cpu",
    *,
    backend: str | None = None,
) -> tuple[set[str], list[str]]:
    """Loads a file that `save_model` or `save_file` wrote into a model.

    Returns the model's names that are missing in the file, and the file's names that are missing in the model. A name
    that is tied to a present one is not missing. With `strict`, raises RuntimeError if either is not empty.
    """
    state_dict = load_file(filename, device=device, backend=backend)
    tied = _remove_duplicate_names(model.state_dict(), preferred_names=state_dict.keys())
    absent, unexpected = model.load_state_dict(state_dict, strict=False)
    missing = set(absent)
    for name in [name for names in tied.values() for name in names]:
        if name in missing:
            missing.remove(name)
        else:
            unexpected.append(name)
    if strict and (missing or unexpected):
        text = f"Error(s) in loading state_dict for {model.__class__.__name__}:"
        for what, names in ("Missing", missing), ("Unexpected", unexpected):
            if names:
                text += f"\n    {what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in sorted(names))
        raise RuntimeError(text)
    return missing, unexpected


# Tensors that share memory


def storage_ptr(tensor: torch.Tensor) -> int:
    """Returns the address of the storage; 0 if the tensor has none (meta, sparse)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except NotImplementedError:
        return 0


def storage_size(tensor: torch.Tensor) -> int:
    """Returns the size of the whole storage in bytes."""
    try:
        return tensor.untyped_storage().nbytes()
    except NotImplementedError:
        return tensor.nelement() * tensor.element_size()


def _end_ptr(tensor: torch.Tensor) -> int:
    """Returns the address after the last byte of the last element."""
    if not tensor.nelement():
        return tensor.data_ptr()
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return tensor.data_ptr() + (last + 1) * tensor.element_size()


def _is_complete(tensor: torch.Tensor) -> bool:
    """Whether the tensor covers its storage."""
    size = tensor.nelement() * tensor.element_size()
    return tensor.data_ptr() == storage_ptr(tensor) and size == storage_size(tensor)


def _filter_shared_not_shared(tensors: Iterable[set[str]], state_dict: Mapping[str, torch.Tensor]) -> list[set[str]]:
    """Splits groups of names on one storage into groups whose bytes overlap."""
    groups: list[set[str]] = []
    for shared in tensors:
        if len(shared) < 2:
            groups.append(shared)
            continue
        end = -1
        areas = ((state_dict[name].data_ptr(), _end_ptr(state_dict[name]), name) for name in shared)
        for start, stop, name in sorted(areas):
            if start >= end:
                groups.append(set())
            groups[-1].add(name)
            end = max(end, stop)  # a view may end before the tensor that contains it
    return groups


def _find_shared_tensors(state_dict: Mapping[str, torch.Tensor]) -> list[set[str]]:
    """Returns the names, grouped by shared memory; tensors without memory are omitted."""
    on_storage: dict[tuple[torch.device, int, int], set[str]] = defaultdict(set)
    for name, tensor in state_dict.items():
        if tensor.device.type == "meta":
            continue
        pointer, size = storage_ptr(tensor), storage_size(tensor)
        if pointer and size:
            on_storage[tensor.device, pointer, size].add(name)
    return _filter_shared_not_shared(on_storage.values(), state_dict)


def _remove_duplicate_names(
    state_dict: Mapping[str, torch.Tensor],
    *,
    preferred_names: Collection[str] | None = None,
    discard_names: Collection[str] | None = None,
) -> dict[str, list[str]]:
    """Returns, for each name to keep, the other names of the same memory.

    The kept tensor covers its storage: the first of `preferred_names`, else the first not in `discard_names`, else the
    first. Raises RuntimeError if no tensor covers the storage.
    """
    preferred, discarded = set(preferred_names or ()), set(discard_names or ())
    to_remove: dict[str, list[str]] = defaultdict(list)
    for shared in _find_shared_tensors(state_dict):
        complete = {name for name in shared if _is_complete(state_dict[name])}
        if not complete:
            raise RuntimeError(
                "Error while trying to find names to remove to save state dict, but found no suitable name to keep"
                f" for saving amongst: {shared}. None is covering the entire storage.Refusing to save/load the model"
                " since you could be storing much more memory than needed. Please refer to"
                " https://huggingface.co/docs/safetensors/torch_shared_tensors for more information. Or open an"
                " issue."
            )
        kept = min(complete & preferred or complete - discarded or complete)
        for name in sorted(shared - {kept}):
            to_remove[kept].append(name)
    return to_remove


# Conversion from and to bytes

_float8_e4m3fn = getattr(torch, "float8_e4m3fn", None)
_float8_e4m3fnuz = getattr(torch, "float8_e4m3fnuz", None)
_float8_e5m2 = getattr(torch, "float8_e5m2", None)
_float8_e5m2fnuz = getattr(torch, "float8_e5m2fnuz", None)
_float8_e8m0 = getattr(torch, "float8_e8m0fnu", None)
_float4_e2m1_x2 = getattr(torch, "float4_e2m1fn_x2", None)

_TYPES: dict[str, torch.dtype | None] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": _float8_e4m3fn,
    "F8_E4M3FNUZ": _float8_e4m3fnuz,
    "F8_E5M2": _float8_e5m2,
    "F8_E5M2FNUZ": _float8_e5m2fnuz,
    "F8_E8M0": _float8_e8m0,
    "F4": _float4_e2m1_x2,
    "C64": torch.complex64,
}

_SIZE = {dtype: dtype.itemsize for dtype in _TYPES.values() if dtype is not None}


def _getdtype(dtype_str: str) -> torch.dtype:
    dtype = _TYPES.get(dtype_str)
    if dtype is None:
        raise SafetensorError(f"Dtype not understood: {dtype_str}")
    return dtype


def _view2torch(safeview: Iterable[tuple[str, Any]]) -> dict[str, torch.Tensor]:
    """Returns tensors over the buffers that `deserialize` returned."""
    tensors = {}
    for name, view in safeview:
        dtype, shape, data = _getdtype(view["dtype"]), view["shape"], view["data"]
        if dtype is _float4_e2m1_x2:
            shape = [*shape[:-1], shape[-1] // 2]  # torch counts pairs
        if len(data):
            tensors[name] = torch.frombuffer(data, dtype=dtype).view(shape)
        else:  # frombuffer refuses empty buffers
            tensors[name] = torch.empty(shape, dtype=dtype)
    return tensors


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """Returns the tensor on the CPU, with lazy conjugation and negation applied to its memory."""
    return tensor.cpu().resolve_conj().resolve_neg()


def _to_ndarray(tensor: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """Returns the bytes as an array of uint8, and the tensor whose memory it uses."""
    stored = _stored(tensor.detach())
    return stored.reshape(-1).view(torch.uint8).numpy(), stored


def _check_types(tensors: dict[str, torch.Tensor]) -> None:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}")


def _evaluate_tensors_for_save(tensors: dict[str, torch.Tensor]) -> None:
    """Raises if the tensors cannot be saved. Does not check whether they are contiguous."""
    _check_types(tensors)
    sparse = [name for name, tensor in tensors.items() if tensor.layout != torch.strided]
    if sparse:
        raise ValueError(
            f"You are trying to save a sparse tensors: `{sparse}` which this library does not support."
            " You can make it a dense tensor before saving with `.to_dense()` but be aware this might"
            " make a much larger file than needed."
        )
    shared = [names for names in _find_shared_tensors(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            "\n            Some tensors share memory, this will lead to duplicate memory on disk and potential"
            f" differences when loading them again: {shared}."
            "\n            A potential way to correctly save your model is to use `save_model`."
            "\n            More information at https://huggingface.co/docs/safetensors/torch_shared_tensors"
            "\n            "
        )


def _check_contiguous(name: str, tensor: torch.Tensor) -> None:
    if not tensor.is_contiguous():
        raise ValueError(
            f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you"
            " are trying to save tensors which are reference of each other in which case it's recommended to save"
            " only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to"
            " pack it before saving."
        )


def _flatten_as_ptr(tensors: dict[str, torch.Tensor], keep_alive_buffer: list[Any]) -> dict[str, TensorSpec]:
    """Returns the argument of `serialize`. Its pointers are valid while `keep_alive_buffer` exists."""
    _evaluate_tensors_for_save(tensors)
    flattened = {}
    for name, tensor in tensors.items():
        _check_contiguous(name, tensor)
        stored = _stored(tensor)
        keep_alive_buffer.append(stored)
        flattened[name] = TensorSpec(
            dtype=str(stored.dtype).removeprefix("torch."),
            shape=stored.shape,
            data_ptr=stored.data_ptr(),
            data_len=stored.nbytes,
        )
    return flattened


def _tobytes(tensor: torch.Tensor, name: str) -> bytes:
    """Returns the bytes of one tensor, which 0.7 uses instead of pointers."""
    _evaluate_tensors_for_save({name: tensor})
    _check_contiguous(name, tensor)
    return _to_ndarray(tensor)[0].tobytes()


def _flatten(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, Any]]:
    """Returns the argument of 0.7's `serialize`, which ours also takes."""
    _evaluate_tensors_for_save(tensors)
    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": tensor.shape, "data": _tobytes(tensor, name)}
        for name, tensor in tensors.items()
    }
