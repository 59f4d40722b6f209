"""Requests to the web pages and their API on the local cloud, as a browser sends them."""

import base64
import hashlib
import json
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from local.processes import LocalCloudError

REQUEST_SECONDS = 60


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.content)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Returns redirects to the caller."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Browser:
    """Sends requests as a browser does that shows the courier's page.

    Attributes:
        page: URL of the courier's page.
        sign_in_url: URL of the sign-in.
        client_id: of the user pool's client.
        certificate: file that makes the local cloud trusted.
        token: the access token; None before the sign-in.

    """

    page: str
    sign_in_url: str
    client_id: str
    certificate: str
    token: str | None = None

    def send(self, method: str, url: str, content: bytes | None = None, **headers: str) -> Reply:
        """Send a request to a URL, or to a path below the page's.

        Raises:
            LocalCloudError: there is no response.

        """
        url = urllib.parse.urljoin(self.page, url)
        trust = ssl.create_default_context(cafile=self.certificate)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trust), NoRedirect()
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, content, named, method=method)
        try:
            with opener.open(request, timeout=REQUEST_SECONDS) as response:
                return Reply(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, dict(error.headers), error.read())
        except OSError as error:
            raise LocalCloudError(f"no response from {url} ({error})") from error

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request with the token to the API."""
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content_Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.send(method, path, content, **headers)

    def sign_in(self, name: str, password: str) -> "Browser":
        """Sign in by authorization code with PKCE; the browser of this user.

        Raises:
            LocalCloudError: the sign-in was refused.

        """
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
        self.send("GET", f"{base}/oauth2/authorize?{urllib.parse.urlencode(asked)}")
        done = self.post(f"{base}/login", asked | {"username": name, "password": password})
        location = done.headers.get("Location") or done.headers.get("location", "")
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).get("code", [""])[0]
        exchange = {"grant_type": "authorization_code", "client_id": self.client_id, "code": code}
        exchange |= {"redirect_uri": self.page, "code_verifier": verifier}
        tokens = self.post(f"{base}/oauth2/token", exchange)
        if tokens.status != HTTPStatus.OK:
            raise LocalCloudError(f"{name} cannot sign in: {tokens.content.decode()}")
        return replace(self, token=tokens.json["access_token"])

    def post(self, url: str, fields: dict[str, str]) -> Reply:
        """Send a form."""
        content = urllib.parse.urlencode(fields).encode()
        return self.send("POST", url, content, Content_Type="application/x-www-form-urlencoded")

    def upload(self, url: str, fields: dict[str, str], photo: bytes) -> Reply:
        """Send a form with a photo, as the presigned POST wants it."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        content = "".join([*parts, head]).encode() + photo + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self.send("POST", url, content, Content_Type=kind)
