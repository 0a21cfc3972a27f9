"""Third-party clients: the automatic conversion of transformers, and schemathesis with openapi.json."""

import os
import shutil
import subprocess
import sys

import pytest

from embedded import files_of, tied_model

AUTO = """
import sys
import transformers.safetensors_conversion as conversion
from huggingface_hub.utils import httpx
# Only the host of the Space, which is fixed in the code, is replaced.
def local(url):
    return url.replace("https://safetensors-convert.hf.space", sys.argv[2])
class LocalHttpx:
    @staticmethod
    def post(url, **options):
        return httpx.post(local(url), **options)
    @staticmethod
    def stream(method, url, **options):
        return httpx.stream(method, local(url), timeout=60, **options)
conversion.httpx = LocalHttpx
file, revision, sharded = conversion.auto_conversion(sys.argv[1])
print(revision, sharded, file)
"""


def test_transformers_auto_conversion_uses_the_server(server, hub):
    hub.make("me/bert", files_of(tied_model()))
    revision, sharded, file = hub.python(AUTO, "me/bert", server.url).split()[-3:]
    assert (revision, sharded) == ("refs/pr/1", "False") and file.endswith("model.safetensors")
    call = server.visitor().post("/call/run", {"data": ["me/gone", False, None]})
    text = server.visitor().get(f"/call/run/{call.json['event_id']}").body.decode()
    assert "event: complete" in text and "### Error" in text


@pytest.mark.parametrize("examples", [3, pytest.param(25, marks=pytest.mark.large)])
def test_the_server_matches_its_openapi_document(server, hub, tmp_path, examples):
    program = shutil.which("schemathesis", path=os.path.dirname(sys.executable))
    assert program, "pip install -r tests/python/requirements.txt"
    command = [
        program,
        "run",
        f"{server.url}/api/v1/openapi.json",
        "--max-examples",
        str(examples),
        "--workers",
        "1",
        "--seed",
        "7",
        "--no-color",
        "--request-timeout",
        "30",
        "--exclude-path-regex",
        "events$|/call/run/",
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "negative_data_rejection",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
