"""The HTTP headers of the page's files."""
import http.client
import urllib.parse

import pytest

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def get(server, path, **headers):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.text = response.read().decode()
    connection.close()
    return response


@pytest.mark.parametrize("path, content_type", [
    ("/", "text/html"),
    ("/check", "text/html"),
    ("/jobs/aaaaaaaaaaaaaaaaaaaa", "text/html"),
    ("/-/shared/style.css", "text/css"),
    ("/-/tasks/main.js", "text/javascript"),
    ("/-/shared/icon.svg", "image/svg+xml"),
])
def test_every_file_has_a_content_type_a_policy_and_an_etag(server, path, content_type):
    response = get(server, path)
    assert response.status == 200
    assert response.headers["Content-Type"] == f"{content_type}; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"
    cached = get(server, path, **{"If-None-Match": response.headers["ETag"]})
    assert (cached.status, cached.text) == (304, "")
    assert get(server, path, **{"If-None-Match": '"other"'}).status == 200


def test_the_document_has_no_inline_code_and_no_urls_of_other_hosts(server):
    text = get(server, "/").text
    assert "style=" not in text and "<style" not in text and "onclick" not in text and "://" not in text
    assert text.count("<script") == text.count('<script type="module" src="/-/')


@pytest.mark.parametrize("path", ["/-/nothing.js", "/-/../tasks/main.js", "/-/%2e%2e/page.cpp", "/-/"])
def test_other_paths_are_not_found(server, path):
    assert get(server, path).status == 404


def test_the_hub_api_is_not_shadowed(server):
    assert get(server, "/api/models").text.startswith("[")
    assert get(server, "/healthz").status == 200
    assert get(server, "/nobody/nothing/resolve/main/config.json").status == 404
