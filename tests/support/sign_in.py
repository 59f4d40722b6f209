"""Requests to the pages on the local cloud, signed in as in a browser."""

import base64
import hashlib
import json
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

from tests.support.web import Reply


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Returns redirects to the caller."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Browser:
    """Sends requests to the local cloud as a browser with these pages does."""

    page: str
    sign_in_url: str
    client_id: str
    certificate: str
    token: str | None = None

    def send(self, method: str, url: str, content: bytes | None = None, **headers: str) -> Reply:
        """A request to a URL, or to a path below the page's."""
        url = urllib.parse.urljoin(self.page, url)
        trust = ssl.create_default_context(cafile=self.certificate)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trust), NoRedirect()
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, content, named, method=method)
        try:
            with opener.open(request, timeout=60) as response:
                return Reply(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, dict(error.headers), error.read())

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """A request to the API."""
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content_Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.send(method, path, content, **headers)

    def sign_in(self, name: str, password: str) -> "Browser":
        """Another browser, signed in by authorization code with PKCE."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": self.client_id,
            "redirect_uri": self.page,
            "response_type": "code",
            "scope": "openid",
            "state": "state",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        base = self.sign_in_url
        form = self.send("GET", f"{base}/oauth2/authorize?{urllib.parse.urlencode(asked)}")
        assert form.status == 200, form.content
        done = self.post(f"{base}/login", asked | {"username": name, "password": password})
        assert done.status in (302, 303), done.content
        location = urllib.parse.urlparse(done.headers.get("Location") or done.headers["location"])
        assert location.geturl().startswith(self.page)
        [code] = urllib.parse.parse_qs(location.query)["code"]
        exchange = {"grant_type": "authorization_code", "client_id": self.client_id, "code": code}
        exchange |= {"redirect_uri": self.page, "code_verifier": verifier}
        tokens = self.post(f"{base}/oauth2/token", exchange)
        assert tokens.status == 200, tokens.content
        token = tokens.json["access_token"]
        return Browser(self.page, self.sign_in_url, self.client_id, self.certificate, token)

    def post(self, url: str, fields: dict[str, str]) -> Reply:
        content = urllib.parse.urlencode(fields).encode()
        return self.send("POST", url, content, Content_Type="application/x-www-form-urlencoded")

    def upload(self, url: str, fields: dict[str, str], photo: bytes) -> Reply:
        """Send a form with a file, as the presigned POST wants it."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        content = "".join([*parts, head]).encode() + photo + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self.send("POST", url, content, Content_Type=kind)
