"""Requests to the functions behind the HTTP API, as API Gateway passes them on."""

import base64
import functools
import gzip
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import yaml
from jsonschema import Draft202012Validator

from local.browser import Reply
from tests.support.repository import REPOSITORY

CONTRACT = REPOSITORY / "docs" / "openapi.yaml"


def request(
    method: str,
    path: str,
    *,
    body: Any = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    claims: dict[str, str] | None = None,
) -> dict[str, Any]:
    """An event of an HTTP API, format 2.0, after the JWT authorizer."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "20/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795521600000,
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
        event["headers"].setdefault("content-type", "application/json")
    if claims is not None:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return event


def claims_of(name: str, *groups: str) -> dict[str, str]:
    """The claims of an access token as API Gateway passes them on."""
    return {"token_use": "access", "username": name, "cognito:groups": f"[{' '.join(groups)}]"}


@functools.cache
def contract() -> dict[str, Any]:
    """The description of the API."""
    described: dict[str, Any] = yaml.safe_load(CONTRACT.read_text())
    return described


def assert_described(method: str, path: str, status: int, kind: str | None, content: bytes) -> None:
    """Fail if docs/openapi.yaml does not describe a response of an operation."""
    operations = [
        item[method.lower()]
        for template, item in contract()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in item
    ]
    if not operations:  # the path leads nowhere
        return
    [operation] = operations
    response = operation["responses"][str(status)]
    if "$ref" in response:
        response = contract()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    if not response.get("content"):
        return
    described = response["content"][kind]
    if "schema" in described:
        assert_fits(described["schema"], json.loads(content))


def assert_fits(schema: dict[str, Any], body: Any) -> None:
    """Fail if a body is not what a schema of docs/openapi.yaml says."""
    validator = Draft202012Validator(schema | {"components": contract()["components"]})
    assert [error.message for error in validator.iter_errors(body)] == []


def publishing(published: list[tuple[str, dict[str, Any]]]) -> Callable[[str, Any], None]:
    """A `publish` that keeps each event as JSON carries it."""

    def publish(kind: str, detail: Any) -> None:
        published.append((kind, json.loads(json.dumps(detail))))

    return publish


@dataclass
class Client:
    """A user who sends requests to a function."""

    app: ModuleType
    context: Any
    name: str = "anna"
    groups: Sequence[str] = ()

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        more.setdefault("claims", claims_of(self.name, *self.groups))
        result = self.app.handler(request(method, path, body=body, **more), self.context)
        headers = {**result.get("headers", {})}
        for name, values in result.get("multiValueHeaders", {}).items():
            headers[name] = values[0]
        text = result["body"]
        assert isinstance(text, str)  # API Gateway refuses null
        is_binary = result.get("isBase64Encoded")
        content = base64.b64decode(text) if is_binary else text.encode()
        reply = Reply(result["statusCode"], headers, content)
        if path.startswith("/api/"):
            if headers.get("Content-Encoding") == "gzip":
                reply = replace(reply, content=gzip.decompress(content))
            kind = reply.headers.get("Content-Type")
            assert_described(method, path, reply.status, kind, reply.content)
        return reply

    def get(self, path: str, **more: Any) -> Reply:
        return self.send("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return self.send("POST", path, body, **more)


def as_user(client: Client, name: str, group: str) -> Client:
    return Client(client.app, client.context, name, [group])


def now(client: Client) -> dict[str, Any]:
    reply = client.get("/api/console/now")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found
