"""The JSON of the commands for the Hub matches docs/json.md."""

import hashlib
import urllib.error
import urllib.request

import torch
from safetensors.torch import save

from embedded import files_of, pickled, sharded_files, tied_model
from test_json import check


def test_convert_repo(hub):
    hub.make(
        "me/m",
        files_of(tied_model() | {"q": torch.ones(2, dtype=torch.complex128)})
        | sharded_files()
        | {
            "vae/diffusion_pytorch_model.bin": pickled({"a": torch.ones(2)}),
            "vae/diffusion_pytorch_model.safetensors": save({"a": torch.ones(2)}),
        },
    )
    hub.pull_request("me/m", {"model.safetensors": save({"a": torch.zeros(3)})}, title="a part")
    for words in (["--dry-run"], ["--skip-unsupported"]):
        check("convert_repo", hub.run("convert", "me/m", "--pr", "--json", *words).json)


def test_check_download_and_pull_requests(hub):
    hub.make("me/m", files_of({"w": torch.ones(3)}))
    number = hub.pull_request(
        "me/m", {"model.safetensors": save({"w": torch.zeros(3)}), "NOTES.md": b"x"}, description="why"
    )
    check("check", hub.run("check", "me/m", number, "--json").json)
    check("download", hub.run("download", "me/m", "--json").json)
    check("pr_list", hub.run("pr", "list", "me/m", "--json").json)
    check("pr", hub.run("pr", "show", "me/m", number, "--json").json)
    check("pr_settled", hub.run("pr", "close", "me/m", number, "--json").json)


def whoami_status(hub, token):
    request = urllib.request.Request(f"{hub.endpoint}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_users_are_listed_revoked_and_removed(hub):
    data = ["--data", hub.server.data]
    token = hub.run("user", "add", "guest", "--read-only", *data).out.strip()
    listed = hub.run("user", "list", "--json", *data).json
    check("users", listed)
    (guest,) = [user for user in listed["users"] if user["name"] == "guest"]
    (known,) = guest["tokens"]
    assert hashlib.sha256(token.encode()).hexdigest().startswith(known["id"]) and known["access"] == "read"
    assert whoami_status(hub, token) == 200
    assert "revoked 1 token" in hub.run("user", "revoke", "guest", known["id"], *data).err
    assert whoami_status(hub, token) == 401, "the running server knows"
    assert hub.run("user", "remove", "guest", *data).code == 0
    assert hub.run("user", "remove", "guest", *data).code == 2
    assert "guest" not in hub.run("user", "list", *data).out
