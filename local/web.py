"""The pages on the local cloud: their URLs, and what the template cannot know about them.

On AWS the API, the sign-in page and the bucket have host names of their own. Here all of them have
one address, and the API's pages are below a path.
"""

from dataclasses import dataclass

from local.browser import Browser
from local.cloud import LocalCloud

CERTIFICATE_NOTE = """\
The certificate is self-signed, and new with each start. So the browser warns of it, each reload
asks for the password again, and the courier's page does not open offline. On AWS, a reload keeps
the sign-in and the page opens offline (not yet seen there)."""


@dataclass(frozen=True)
class Web:
    """The URLs of the pages."""

    courier_page: str

    @property
    def console(self) -> str:
        """The console's URL."""
        return f"{self.courier_page}console"


def web_of(cloud: LocalCloud, outputs: dict[str, str]) -> Web:
    """The URLs of the pages of a deployed stack."""
    api, _, _ = outputs["CourierPageUrl"].removeprefix("https://").partition(".")
    return Web(f"{cloud.endpoint_url}/_aws/execute-api/{api}/")


def browser_of(cloud: LocalCloud, outputs: dict[str, str]) -> Browser:
    """A browser that nobody has signed in with yet."""
    return Browser(
        web_of(cloud, outputs).courier_page,
        cloud.endpoint_url,
        outputs["UserPoolClientId"],
        str(cloud.certificate),
    )


def prepare_web(cloud: LocalCloud, outputs: dict[str, str]) -> None:
    """Let people sign in: allow the pages' URLs, and configure the address of the sign-in."""
    web = web_of(cloud, outputs)
    urls = [web.courier_page, web.console]
    cloud.client("cognito-idp").update_user_pool_client(
        UserPoolId=outputs["UserPoolId"],
        ClientId=outputs["UserPoolClientId"],
        CallbackURLs=urls,
        LogoutURLs=urls,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid"],
        SupportedIdentityProviders=["COGNITO"],
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )
    functions, name = cloud.client("lambda"), cloud.physical_name("ServeWebFunction")
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables |= {"SIGN_IN_URL": cloud.endpoint_url, "UPLOADS_URL": cloud.endpoint_url}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
