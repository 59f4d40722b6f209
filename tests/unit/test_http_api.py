"""Who may send requests to the API, and its responses to others."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.support.web import Client, claims_of

FUNCTIONS = {
    "courier_api": ("/api/courier/shift", "couriers"),
    "console_api": ("/api/console/now", "reviewers"),
    "preview_photo": ("/api/console/preview", "reviewers"),
}


@pytest.fixture(params=sorted(FUNCTIONS))
def function(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(
    aws: None, load: Callable[[str, str], ModuleType], context: Any, function: str
) -> Client:
    return Client(load(function, "app"), context)


def assert_problem(reply: Any, status: int) -> None:
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert {"type", "title", "detail"} <= reply.json.keys()
    assert "\n" not in reply.json["detail"]


@pytest.mark.parametrize(
    "claims",
    [
        None,
        {},
        {"token_use": "access", "username": "anna"},
        claims_of("anna", "bakers"),
        claims_of("anna", "couriersx"),
        claims_of("anna", "couriers", "reviewers", "managers") | {"token_use": "id"},
    ],
)
def test_a_user_outside_the_groups_gets_403(
    client: Client, function: str, claims: dict[str, str] | None
) -> None:
    assert_problem(client.get(FUNCTIONS[function][0], claims=claims), 403)


def test_couriers_and_reviewers_do_not_use_each_others_api(client: Client, function: str) -> None:
    path, group = FUNCTIONS[function]
    other = {"couriers": "reviewers", "reviewers": "couriers"}[group]
    assert_problem(client.get(path, claims=claims_of("anna", other)), 403)


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "../anna", "..", "unknown", "anna\n", "x" * 129, "A\u0308nne"],
)
def test_a_user_name_that_could_be_the_folder_of_somebody_else_gets_403(
    client: Client, function: str, name: str
) -> None:
    path, group = FUNCTIONS[function]
    assert_problem(client.get(path, claims=claims_of(name, group)), 403)


def test_an_unknown_path_gets_404_with_problem_details(client: Client, function: str) -> None:
    client.groups = [FUNCTIONS[function][1]]
    assert_problem(client.get("/api/elsewhere"), 404)
