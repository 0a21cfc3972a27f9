"""The clients that others wrote: transformers' automatic conversion, and schemathesis with our own document."""

import json
import shutil
import subprocess
import sys

import pytest

import models
from page_server import PageServer, hub_of

AUTO = """
import sys
import transformers.safetensors_conversion as conversion
from huggingface_hub.utils import httpx
# The Space's host stands in the code: it alone is another here.
real_post, real_stream = httpx.post, httpx.stream
here = lambda url: url.replace("https://safetensors-convert.hf.space", sys.argv[2])
conversion.httpx = type("httpx", (), {"post": staticmethod(lambda url, **more: real_post(here(url), **more)), "stream": staticmethod(lambda how, url, **more: real_stream(how, here(url), timeout=60, **more))})
file, revision, sharded = conversion.auto_conversion(sys.argv[1])
print(revision, sharded, file)
"""


def test_transformers_gets_its_safetensors_through_us(tmp_path):
    server = PageServer(tmp_path / "data")
    hub = hub_of(server, tmp_path / "home")
    models.single(tmp_path / "model")
    hub.upload("me/bert", tmp_path / "model")
    revision, sharded, file = hub.python(AUTO, "me/bert", server.url).split()[-3:]
    assert (revision, sharded) == ("refs/pr/1", "False") and file.endswith("model.safetensors")
    said = server.visitor().post("/call/run", {"data": ["me/gone", False, None]})
    text = server.visitor().get(f"/call/run/{said.json['event_id']}").body.decode()
    assert "event: complete" in text and "### Error" in text, "a failure is a completion there"
    server.stop()


def test_the_document_is_what_the_server_does(server, hub, tmp_path):
    program = shutil.which("schemathesis", path=str(__import__("pathlib").Path(sys.executable).parent))
    assert program, "pip install -r tests/python/requirements.txt"
    command = [
        program,
        "run",
        f"{server.url}/api/v1/openapi.json",
        "--max-examples",
        "25",
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
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
