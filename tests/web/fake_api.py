"""The pages, the API of a `Shop`, the sign-in and the upload of photos, on one port.

For the tests in the browser, and to work on web/ without a cloud:

    .venv/bin/python -m tests.web.fake_api        # any user name signs in; manager is a manager
"""

import argparse
import base64
import email
import hashlib
import html
import json
import re
import secrets
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.web.busy_hour import fill
from tests.web.fake_shop import RefusedError, Shop

PROJECT = Path(__file__).parents[2]
WEB = PROJECT / "web"
PHOTOS = [  # a preview is never broken
    path
    for path in sorted((PROJECT / "local" / "photos").glob("*-*.jpg"))
    if not path.name.startswith("broken-")
]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
CLIENT_ID = "web"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    @property
    def shop(self) -> Shop:
        return self.server.shop

    def do_GET(self) -> None:
        self.handle_request("GET")

    def do_POST(self) -> None:
        self.handle_request("POST")

    def handle_request(self, method: str) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if url.path.startswith("/sign-in/"):
                self.sign_in(method, url.path.removeprefix("/sign-in"), query, body)
            elif url.path == "/upload":
                self.store(body)
            elif url.path.startswith("/api/"):
                self.call(method, url.path.removeprefix("/api/"), query, body)
            elif url.path == "/config.json":
                self.send(200, {
                    "region": "eu-west-1", "client_id": CLIENT_ID, **self.server.shop.use_case,
                    "sign_in_url": f"{self.server.url}/sign-in", "max_photo_bytes": 20_000_000,
                    "map_tiles": self.shop.map_tiles,
                })  # fmt: skip
            else:
                self.send_file(url.path)
        except RefusedError as problem:
            self.send(problem.status, problem.body, "application/problem+json")

    def send(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content = b"" if body is None or status in (204, 304) else content
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def send_with_etag(self, status: int, body: Any, kind: str = "application/json") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            self.shop.answers.append((self.path, 304))
            self.send(304, None, ETag=etag)
        else:
            self.shop.answers.append((self.path, status))
            self.send(status, content, kind, ETag=etag)

    def send_file(self, path: str) -> None:
        pages = {"/": "index.html", "/console": "console.html"}
        file = (WEB / pages.get(path, path.removeprefix("/"))).resolve()
        if not (path in pages or WEB / "assets" in file.parents) or not file.is_file():
            raise RefusedError(404, "There is no such page.")
        if status := self.shop.refused.get(path.removeprefix("/")):
            raise RefusedError(status, "This file cannot be loaded now.")
        content = file.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {
            "ETag": etag,
            "Cache_Control": "no-cache",
            "Content_Security_Policy": CONTENT_SECURITY_POLICY,
            "Service_Worker_Allowed": "/",
        }
        kind = TYPES.get(file.suffix, "application/octet-stream")
        if self.headers.get("If-None-Match") == etag:
            self.send(304, None, kind, **headers)
        else:
            self.send(200, content, kind, **headers)

    # ── Sign-in as Cognito does it ──

    def sign_in(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        if path == "/logout":
            gone = "user=; Path=/sign-in; Max-Age=0"
            self.send(302, None, Location=query["logout_uri"], Set_Cookie=gone)
        elif path == "/oauth2/token":
            self.send_tokens({name: values[0] for name, values in parse_qs(body.decode()).items()})
        elif method == "POST":
            self.redirect_with_code(query, parse_qs(body.decode())["user_name"][0])
        elif user := SimpleCookie(self.headers.get("Cookie", "")).get("user"):
            self.redirect_with_code(query, user.value)
        else:
            form = (
                '<!doctype html><html lang="en"><title>Sign in</title><form method="post">'
                '<label>User name <input name="user_name"></label><button>Sign in</button></form>'
            )
            self.send(200, form.encode(), "text/html; charset=utf-8")

    def redirect_with_code(self, query: dict[str, str], name: str) -> None:
        if name not in self.shop.people:
            self.shop.add_person(name, "couriers")
        code = secrets.token_urlsafe()
        self.shop.codes[code] = {"name": name, **query}
        target = query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})
        cookie = f"user={html.escape(name)}; Path=/sign-in; HttpOnly"
        self.send(302, None, Location=target, Set_Cookie=cookie)

    def send_tokens(self, form: dict[str, str]) -> None:
        if form["grant_type"] == "refresh_token":
            name = self.shop.tokens.get(form["refresh_token"])
        else:
            asked = self.shop.codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = challenge == asked.get("code_challenge")
            good &= form["redirect_uri"] == asked.get("redirect_uri")
            name = asked.get("name") if good else None
        if name is None:
            self.send(400, {"error": "invalid_grant"})
            return
        claims = {"username": name, "cognito:groups": self.shop.people[name]["groups"]}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        access, refresh = f"a.{payload}.{secrets.token_hex(4)}", f"r{secrets.token_hex(8)}"
        self.shop.tokens |= {access: name, refresh: name}
        self.send(200, {"access_token": access, "refresh_token": refresh, "expires_in": 3600})

    # ── Photos and API ──

    def store(self, body: bytes) -> None:
        if status := self.shop.refused.get("upload"):
            self.send(status, b"<Error/>", "application/xml")
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in email.message_from_bytes(head + body).get_payload()  # type: ignore[union-attr]
        }
        photo_id = parts["key"].decode().rsplit("/", 1)[1]
        self.shop.uploads[photo_id]["content"] = parts["file"]
        self.send(204, None)

    def call(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        name = self.shop.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if name is None:
            self.send(401, {"message": "Unauthorized"})
            return
        if status := self.shop.refused.get(path):
            raise RefusedError(status, "The service has a fault. Try again in a minute.")
        groups = self.shop.people[name]["groups"]
        allowed = {"courier": ["couriers"], "console": ["reviewers", "managers"]}
        wanted = ["managers"] if "console/people" in path else allowed[path.split("/", 1)[0]]
        if not set(wanted) & set(groups):
            raise RefusedError(403, "Your account may not do this. Ask a manager.")
        if path == "console/preview":
            number = int(re.sub(r"\D", "", query["image_id"]) or 0)
            photo = PHOTOS[number % len(PHOTOS)].read_bytes()
            self.send(200, photo, "image/jpeg", Cache_Control="private, max-age=300")
            return
        _, operation, parts = self.shop.find(method, path)
        arguments: list[Any] = list(parts)
        if method == "POST" and operation != self.shop.reset_password:
            arguments.append(json.loads(body) if body else None)
        elif not parts and "console/" in path:
            arguments.append(query)
        status, answer = operation(name, *arguments)
        if method == "GET":
            self.send_with_etag(status, answer)
        else:
            self.shop.answers.append((self.path, status))
            self.send(status, answer)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.shop = Shop()
        self.url = f"http://localhost:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8088, help="of the server (8088)")
    server = Server(parser.parse_args().port)
    fill(server.shop)
    print(f"courier  {server.url}/\nconsole  {server.url}/console   (sign in as manager)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
