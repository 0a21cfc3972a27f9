"""Access to gated repositories, with huggingface_hub as the client."""

import tempfile
import urllib.error
import urllib.request

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

from embedded_hub import HERE


@pytest.fixture
def gated(hub):
    for user in ("reader", "other"):
        hub.server.token(user)
    hub.make("me/gated", {"config.json": b"{}"})
    hub.api().update_repo_settings("me/gated", gated="manual")
    return hub


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def ask(hub, user, repo="me/gated"):
    """Sends the form of the Hub's web page. Returns the status."""
    request = urllib.request.Request(f"{hub.endpoint}/{repo}/ask-access", data=b"", method="POST")
    if user:
        request.add_header("Authorization", f"Bearer {hub.server.token(user)}")
    try:
        urllib.request.build_opener(NoRedirects).open(request)
    except urllib.error.HTTPError as error:
        return error.code
    raise AssertionError("the form is not answered by a redirect")


def can_read(hub, user, folder):
    cache = tempfile.mkdtemp(dir=folder)  # the client returns cached files to every user
    try:
        hub.api(user).hf_hub_download("me/gated", "config.json", cache_dir=cache)
        return True
    except GatedRepoError:
        return False


def users(requests):
    return [request.username for request in requests]


def status_of(call):
    with pytest.raises(HfHubHTTPError) as error:
        call()
    return error.value.response.status_code


def test_a_request_is_accepted_rejected_and_cancelled(gated, tmp_path):
    api = gated.api()
    assert not can_read(gated, "reader", tmp_path)
    assert ask(gated, "reader") == 303 and ask(gated, "reader") == 303
    (request,) = api.list_pending_access_requests("me/gated")
    assert (request.username, request.status) == ("reader", "pending") and request.request_id and request.timestamp
    assert not can_read(gated, "reader", tmp_path)

    api.accept_access_request("me/gated", "reader")
    assert can_read(gated, "reader", tmp_path) and not can_read(gated, "other", tmp_path)
    assert users(api.list_accepted_access_requests("me/gated")) == ["reader"]
    assert users(api.list_pending_access_requests("me/gated")) == []

    api.cancel_access_request("me/gated", "reader")
    assert users(api.list_pending_access_requests("me/gated")) == ["reader"]
    assert not can_read(gated, "reader", tmp_path)

    api.reject_access_request("me/gated", request_id=request.request_id, rejection_reason="no")
    assert users(api.list_rejected_access_requests("me/gated")) == ["reader"]
    assert ask(gated, "reader") == 403 and not can_read(gated, "reader", tmp_path)
    api.accept_access_request("me/gated", request_id=request.request_id)
    assert can_read(gated, "reader", tmp_path)


def test_access_is_granted_without_a_request(gated, tmp_path):
    gated.api().grant_access("me/gated", "reader")
    assert can_read(gated, "reader", tmp_path)
    assert users(gated.api().list_accepted_access_requests("me/gated")) == ["reader"]


def test_wrong_calls(gated):
    api, other = gated.api(), gated.api("other")
    assert status_of(lambda: api.grant_access("me/gated", "nobody")) == 404
    assert status_of(lambda: api.accept_access_request("me/gated", "reader")) == 404, "no request"
    api.grant_access("me/gated", "reader")
    assert status_of(lambda: api.grant_access("me/gated", "reader")) == 400, "has access"
    assert status_of(lambda: api.accept_access_request("me/gated", "reader")) == 404, "is accepted"
    assert status_of(lambda: api.accept_access_request("me/gated", request_id="0" * 24)) == 404
    for call in (
        lambda: other.grant_access("me/gated", "other"),
        lambda: other.accept_access_request("me/gated", "other"),
        lambda: list(other.list_accepted_access_requests("me/gated")),
        lambda: list(gated.api("reader").list_accepted_access_requests("me/gated")),
    ):
        assert status_of(call) == 403
    assert status_of(lambda: list(gated.api(None).list_pending_access_requests("me/gated"))) == 401
    assert ask(gated, None) == 401 and ask(gated, "other", "me/nothing") == 404
    gated.make("me/open", {"a": b""})
    assert status_of(lambda: api.grant_access("me/open", "reader")) == 400
    assert status_of(lambda: list(api.list_pending_access_requests("me/open"))) == 400
    assert ask(gated, "other", "me/open") == 400


def test_an_automatic_gate_accepts_at_once(gated, tmp_path):
    assert ask(gated, "other") == 303
    gated.api().update_repo_settings("me/gated", gated="auto")
    assert not can_read(gated, "reader", tmp_path)
    assert ask(gated, "reader") == 303 and can_read(gated, "reader", tmp_path)
    assert ask(gated, "other") == 303 and can_read(gated, "other", tmp_path)


def test_requests_end_with_their_repository_and_user(gated, tmp_path):
    gated.api().grant_access("me/gated", "reader")
    gated.api().delete_repo("me/gated")
    gated.make("me/gated", {"config.json": b"{}"})
    gated.api().update_repo_settings("me/gated", gated="manual")
    assert not can_read(gated, "reader", tmp_path)
    data = ["--data", gated.server.data]
    gated.run("user", "add", "leaver", *data)
    gated.api().grant_access("me/gated", "leaver")
    assert gated.run("user", "remove", "leaver", *data).code == 0
    assert users(gated.api().list_accepted_access_requests("me/gated")) == []


OLD = """
from huggingface_hub import HfApi
api = HfApi()
api.grant_access("me/gated", "reader")
print([request.username for request in api.list_accepted_access_requests("me/gated")])
api.reject_access_request("me/gated", "reader", rejection_reason=None)
print([request.username for request in api.list_rejected_access_requests("me/gated")])
"""


def test_an_older_huggingface_hub(gated):
    python = HERE.parents[2] / "build/venv-hub036/bin/python"
    assert gated.python(OLD, python=python).split("\n")[:2] == ["['reader']", "['reader']"]
