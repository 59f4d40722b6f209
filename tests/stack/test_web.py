"""Who may sign in and send requests, and how many: what the local cloud does not enforce."""

import pytest

from tests.support.template import Resources, of_type

ROUTES = {
    "GET /": ("ServeWeb", "NONE"),
    "GET /console": ("ServeWeb", "NONE"),
    "GET /config.json": ("ServeWeb", "NONE"),
    "GET /assets/{path+}": ("ServeWeb", "NONE"),
    "ANY /api/courier/{path+}": ("CourierApi", "JWT"),
    "ANY /api/console/{path+}": ("ConsoleApi", "JWT"),
    "GET /api/console/preview": ("PreviewPhoto", "JWT"),
    "GET /api/console/explanation": ("PreviewPhoto", "JWT"),
}


def test_every_route_of_the_api_needs_a_token(resources: Resources) -> None:
    routes = of_type(resources, "AWS::ApiGatewayV2::Route").values()
    assert {
        route["RouteKey"]: (
            route["Target"]["Fn::Sub"].removeprefix("integrations/${").removesuffix("Integration}"),
            route["AuthorizationType"],
        )
        for route in routes
    } == ROUTES
    for route in routes:
        if route["RouteKey"].partition("/api/")[1]:
            assert route["AuthorizerId"] == {"Ref": "WebAuthorizer"}


def test_a_token_counts_that_the_pool_gave_to_the_pages(resources: Resources) -> None:
    [authorizer] = of_type(resources, "AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["AuthorizerType"] == "JWT"
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["JwtConfiguration"] == {
        "Issuer": {"Fn::Sub": "https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${UserPool}"},
        "Audience": [{"Ref": "UserPoolClient"}],
    }


def test_the_api_alone_invokes_its_functions(resources: Resources) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert {name.removesuffix("Permission") for name in permissions} == {
        function for function, _ in ROUTES.values()
    }
    for name, permission in permissions.items():
        assert permission == {
            "FunctionName": {"Ref": name.removesuffix("Permission") + "Function"},
            "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": {
                "Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:"
                "${AWS::AccountId}:${WebApi}/*"
            },
        }


def test_requests_are_throttled(resources: Resources) -> None:
    [stage] = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    settings = stage["DefaultRouteSettings"]
    assert 0 < settings["ThrottlingRateLimit"] <= 100
    assert 0 < settings["ThrottlingBurstLimit"] <= 200


def test_an_administrator_creates_users(resources: Resources) -> None:
    pool = resources["UserPool"]["Properties"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [
        {"Name": "admin_only", "Priority": 1}
    ]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    groups = of_type(resources, "AWS::Cognito::UserPoolGroup").values()
    assert {group["GroupName"] for group in groups} == {"couriers", "reviewers", "managers"}
    assert all("RoleArn" not in group for group in groups)


def test_the_pages_sign_in_by_code_and_keep_no_secret(resources: Resources) -> None:
    client = resources["UserPoolClient"]["Properties"]
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["AllowedOAuthScopes"] == ["openid"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert client["WriteAttributes"] == ["locale"]
    assert not any("PASSWORD" in flow for flow in client["ExplicitAuthFlows"])
    page = "https://${WebApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/"
    urls = [{"Fn::Sub": page}, {"Fn::Sub": page + "console"}]
    assert client["CallbackURLs"] == client["LogoutURLs"] == urls


def test_browsers_upload_to_the_bucket_from_the_pages_alone(resources: Resources) -> None:
    condition, cors, otherwise = resources["PhotosBucket"]["Properties"]["CorsConfiguration"][
        "Fn::If"
    ]
    assert (condition, otherwise) == ("HasWeb", {"Ref": "AWS::NoValue"})
    [rule] = cors["CorsRules"]
    assert rule["AllowedMethods"] == ["POST"]
    assert rule["AllowedOrigins"] == [
        {"Fn::Sub": "https://${WebApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}
    ]


@pytest.mark.parametrize("kind", ["AWS::Cognito::", "AWS::ApiGatewayV2::"])
def test_without_the_web_there_is_nothing_of_it(resources: Resources, kind: str) -> None:
    found = [each for each in resources.values() if each["Type"].startswith(kind)]
    assert found
    assert {each.get("Condition") for each in found} == {"HasWeb"}


def test_functions_of_the_web_go_with_it(resources: Resources) -> None:
    for function in {function for function, _ in ROUTES.values()}:
        for suffix in ("Function", "Role", "Permission", "Integration"):
            assert resources[function + suffix]["Condition"] == "HasWeb"
