"""What the page is served with."""
import http.client
import urllib.parse

import pytest

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def ask(server, path, **headers):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize("path, kind", [("/", "text/html"), ("/check", "text/html"), ("/jobs/aaaaaaaaaaaaaaaaaaaa", "text/html"), ("/-/shared/style.css", "text/css"), ("/-/tasks/main.js", "text/javascript"), ("/-/shared/icon.svg", "image/svg+xml")])
def test_every_file_comes_with_its_type_its_policy_and_an_etag(server, path, kind):
    answer = ask(server, path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == ("nosniff", "no-referrer", "no-cache")
    again = ask(server, path, **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.text) == (304, "")
    assert ask(server, path, **{"If-None-Match": '"other"'}).status == 200


def test_nothing_inline_and_nothing_from_elsewhere_stands_in_the_document(server):
    text = ask(server, "/").text
    assert "style=" not in text and "<style" not in text and "onclick" not in text and "://" not in text
    assert text.count("<script") == text.count('<script type="module" src="/-/')


@pytest.mark.parametrize("path", ["/-/nothing.js", "/-/../page.js", "/-/%2e%2e/page.cpp", "/-/"])
def test_what_is_not_a_file_of_the_page_is_not_found(server, path):
    assert ask(server, path).status == 404


def test_the_hub_is_where_it_was(server):
    assert ask(server, "/api/models").text.startswith("[")
    assert ask(server, "/healthz").status == 200
    assert ask(server, "/nobody/nothing/resolve/main/config.json").status == 404
