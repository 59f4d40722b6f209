"""Serve the courier's page, the console, their files and config.json. It may use nothing of AWS."""

import base64
import functools
import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

WEB = Path(__file__).with_name("web")
PAGES = {"/": "index.html", "/console": "console.html"}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".webmanifest"}


class Config(TypedDict):
    """What the pages need to start; nothing in it is secret.

    - client_id: the client of the user pool.
    - sign_in_url: the base of /oauth2/authorize, /oauth2/token and /logout. Redirect URIs are the
      URL of the courier's page (ends with /) and that of /console.
    - dispatch: whether couriers get orders. If false, calls for shifts, routes and orders get 404.
    - labels: the labels of the model; "other" is none of the others.
    - map_tiles: the URL of a street map's tiles with {z}, {x} and {y}; empty for none.
    """

    region: str
    client_id: str
    sign_in_url: str
    use_case: str
    dispatch: bool
    labels: list[str]
    max_photo_bytes: int
    map_tiles: str


logger = Logger(use_rfc3339=True)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the file of a path."""
    path, headers = event["rawPath"], event.get("headers", {})
    if path == "/config.json":
        return response(headers, ".json", json.dumps(configuration()).encode())
    file = files().get(PAGES.get(path, path.removeprefix("/")))
    if file is None or path.endswith(".html"):
        body = "There is no page here. Open the first page."
        return {
            "statusCode": HTTPStatus.NOT_FOUND.value,
            "headers": security_headers() | {"Content-Type": "text/plain; charset=utf-8"},
            "body": body,
        }
    return response(headers, file.suffix, file.read_bytes())


@functools.cache
def files() -> dict[str, Path]:
    """The files that are served, by their path; no other file can be named."""
    return {
        str(path.relative_to(WEB)): path
        for path in WEB.rglob("*")
        if path.is_file()
        and path.suffix in TYPES
        and (path.parent != WEB or path.suffix == ".html")
    }


def configuration() -> Config:
    """What config.json says."""
    return {
        "region": os.environ["AWS_REGION"],
        "client_id": os.environ["CLIENT_ID"],
        "sign_in_url": os.environ["SIGN_IN_URL"],
        "use_case": os.environ["USE_CASE"],
        "dispatch": os.environ["DISPATCH"] == "on",
        "labels": os.environ["LABELS"].split(","),
        "max_photo_bytes": int(os.environ["MAX_PHOTO_BYTES"]),
        "map_tiles": os.environ["MAP_TILES"],
    }


def response(headers: Mapping[str, str], suffix: str, content: bytes) -> dict[str, Any]:
    """A file, compressed if the browser takes that; 304 if the browser has it."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    sent = security_headers() | {
        "Content-Type": TYPES[suffix],
        "Cache-Control": "no-cache",
        "ETag": etag,
        "Service-Worker-Allowed": "/",  # assets/worker.js works for the pages too
        "Vary": "Accept-Encoding",
    }
    if etag in headers.get("if-none-match", ""):
        return {"statusCode": HTTPStatus.NOT_MODIFIED.value, "headers": sent, "body": ""}
    if suffix in COMPRESSED and "gzip" in headers.get("accept-encoding", ""):
        content, sent["Content-Encoding"] = gzip.compress(content, mtime=0), "gzip"
    return {
        "statusCode": HTTPStatus.OK.value,
        "headers": sent,
        "body": base64.b64encode(content).decode(),
        "isBase64Encoded": True,
    }


def security_headers() -> dict[str, str]:
    """What the browser must not do: load, send or frame anything elsewhere."""
    tiles = urlsplit(os.environ["MAP_TILES"])
    tile_server = f" {tiles.scheme}://{tiles.netloc}" if tiles.netloc else ""
    elsewhere = f"{os.environ['SIGN_IN_URL']} {os.environ['UPLOADS_URL']}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: data:{tile_server}",
        "font-src": "'self'",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "connect-src": f"'self' {elsewhere}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }
