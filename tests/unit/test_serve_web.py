"""The files of web/ that a browser gets, and what their headers forbid."""

import gzip
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.web import Client

SIGN_IN = "https://shop.auth.eu-west-1.amazoncognito.com"
UPLOADS = "https://photos.s3.eu-west-1.amazonaws.com"


@pytest.fixture
def client(
    environment: pytest.MonkeyPatch,
    load: Callable[[str, str], ModuleType],
    context: Any,
    tmp_path: Path,
) -> Client:
    for name, value in {
        "AWS_REGION": "eu-west-1",
        "CLIENT_ID": "client",
        "SIGN_IN_URL": SIGN_IN,
        "UPLOADS_URL": UPLOADS,
        "LABELS": "bicycle,motorcycle,other",
        "MAX_PHOTO_BYTES": "25000000",
        "MAP_TILES": "",
    }.items():
        environment.setenv(name, value)
    app = load("serve_web", "app")
    for name in ("index.html", "console.html", "vendor.json", "assets/base.css", "assets/a/b.js"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "assets" / "notes.py").write_text("not for browsers")
    environment.setattr(app, "WEB", tmp_path)
    return Client(app, context)


@pytest.mark.parametrize(
    ("path", "file", "kind"),
    [
        ("/", "index.html", "text/html"),
        ("/console", "console.html", "text/html"),
        ("/assets/base.css", "assets/base.css", "text/css"),
        ("/assets/a/b.js", "assets/a/b.js", "text/javascript"),
    ],
)
def test_pages_and_assets_need_no_token(client: Client, path: str, file: str, kind: str) -> None:
    reply = client.get(path, claims=None)
    assert (reply.status, reply.content) == (200, file.encode())
    assert reply.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize(
    "path",
    ["/vendor.json", "/assets/notes.py", "/assets/../app.py", "/app.py", "/assets", "/index.html"],
)
def test_only_pages_and_assets_are_served(client: Client, path: str) -> None:
    assert client.get(path).status == 404


def test_a_file_is_not_sent_again_if_the_browser_has_it(client: Client) -> None:
    etag = client.get("/assets/base.css").headers["ETag"]
    reply = client.get("/assets/base.css", headers={"If-None-Match": etag})
    assert (reply.status, reply.content) == (304, b"")
    assert client.get("/assets/base.css", headers={"If-None-Match": '"x"'}).status == 200


def test_files_are_compressed_if_the_browser_accepts_it(client: Client) -> None:
    reply = client.get("/", headers={"Accept-Encoding": "gzip, br"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.content) == b"index.html"
    assert "Content-Encoding" not in client.get("/").headers


@pytest.mark.parametrize("path", ["/", "/console", "/config.json", "/assets/base.css", "/nothing"])
def test_the_browser_may_load_and_send_nothing_elsewhere(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == f"'self' {SIGN_IN} {UPLOADS}"
    assert not any("unsafe" in value for value in policy.values())
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_worker_among_the_assets_may_open_the_pages(client: Client) -> None:
    assert client.get("/assets/a/b.js").headers["Service-Worker-Allowed"] == "/"


def test_the_configuration_of_the_pages_has_no_secret(client: Client) -> None:
    assert client.get("/config.json").json == {
        "region": "eu-west-1",
        "client_id": "client",
        "sign_in_url": SIGN_IN,
        "labels": ["bicycle", "motorcycle", "other"],
        "max_photo_bytes": 25_000_000,
        "map_tiles": "",
    }


def test_a_street_map_comes_from_the_chosen_server_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert images_from(client) == "'self' blob: data:"
    tiles = "https://tiles.example.com:8443/{z}/{x}/{y}.png"
    monkeypatch.setenv("MAP_TILES", tiles)
    assert images_from(client) == "'self' blob: data: https://tiles.example.com:8443"
    assert client.get("/config.json").json["map_tiles"] == tiles


def images_from(client: Client) -> str:
    headers = client.get("/console").headers
    policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
    return policy["img-src"]
