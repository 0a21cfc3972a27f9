"""save_model and load_model of depickle.safetensors, compared with upstream's."""

import io

import safetensors
import torch

from drop_in import ours, raised_by, theirs


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.b = self.a = torch.nn.Linear(3, 3)
        self.c = torch.nn.Linear(3, 3)
        self.c.weight = torch.nn.Parameter(torch.arange(9.0).reshape(3, 3).t())


class Untied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (torch.nn.Linear(3, 3) for _ in "abc")


def test_models_are_saved_and_loaded_as_upstream(tmp_path):
    model, metadata = Tied(), {"b.bias": "mine"}
    ours.save_model(model, tmp_path / "a", metadata)
    theirs.save_model(model, tmp_path / "b", dict(metadata))
    assert metadata == {"b.bias": "mine"}
    with safetensors.safe_open(tmp_path / "a", "pt") as a, safetensors.safe_open(tmp_path / "b", "pt") as b:
        assert a.metadata() == b.metadata() == {"b.bias": "mine", "b.weight": "a.weight"} and a.keys() == b.keys()
    loaded = Tied()
    assert ours.load_model(loaded, tmp_path / "b") == theirs.load_model(Tied(), tmp_path / "a") == (set(), [])
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_models_in_an_open_file():
    model, buffer, loaded = Tied(), io.BytesIO(), Tied()
    ours.save_model(model, buffer)
    buffer.seek(0)
    ours.load_model(loaded, buffer)
    assert torch.equal(loaded.a.weight, model.a.weight)


def test_errors_for_models_that_do_not_match_equal_upstream(tmp_path):
    theirs.save_model(Tied(), tmp_path / "tied")
    theirs.save_model(Untied(), tmp_path / "untied")
    for kind, file in (Untied, "tied"), (Tied, "untied"):
        mine, upstream = (raised_by(module.load_model, kind(), tmp_path / file) for module in (ours, theirs))
        assert mine == upstream
        mine, upstream = (module.load_model(kind(), tmp_path / file, strict=False) for module in (ours, theirs))
        assert mine == upstream
    for model, more in (Tied(), {"force_contiguous": False}), (Partial(), {}):
        mine, upstream = (raised_by(module.save_model, model, tmp_path / "x", **more) for module in (ours, theirs))
        assert mine == upstream


class Partial(torch.nn.Module):
    """A module whose only tensor is a view of a larger one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("view", torch.zeros(1000, 10)[:100])
