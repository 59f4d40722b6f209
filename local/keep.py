"""Keep the local cloud running, to try commands on it.

make up       start it, deploy the stack, print commands to try
make down     stop it
"""

import json
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime

from rich.console import Console

from functions.console_api.people import Users, temporary_password
from functions.http_api.http import COURIERS, MANAGERS, REVIEWERS, ProblemError
from local.cloud import REGION, LocalCloud
from local.command import Parser, Steps, add_ports, add_use_case, carry_out, prepare
from local.dispatching import sample_orders
from local.processes import PROJECT, STATE, LocalCloudError
from local.use_cases import find_use_case
from local.web import CERTIFICATE_NOTE, prepare_web, web_of
from operations.stack import EVENT_SOURCE

ACCOUNTS = {"anna": COURIERS, "rosa": REVIEWERS, "max": MANAGERS}

COMMANDS = """
The local cloud is up.

Courier's page: {courier_page}
Console:        {console}
Accounts:
{accounts}
{certificate_note}

In another terminal, first. The commands need the AWS CLI, 1.29 or 2.13 or later. A record comes
after some seconds.

  cd {project}
  export AWS_ENDPOINT_URL={endpoint} AWS_CA_BUNDLE={certificate}
  export AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

  # Upload a photo of sender 42, and read its record.
  aws s3 cp {photo} s3://{PhotosBucketName}/uploads/42/
  aws dynamodb scan --table-name {PredictionsTableName}

  # Review the photos below the confidence threshold.
  make review{use_case}

  # Write sample events of this stack to build/events.
  make events{use_case}

{dispatch}{topics}  # Read the workflow's executions, and the functions' log.
  aws stepfunctions list-executions --state-machine-arn {ClassifyPhotoStateMachineArn}
  aws logs filter-log-events --log-group-name {FunctionsLogGroupName}

  # Send a photo to the model alone.
  curl --data-binary @{photo} {serving}/invocations

Different from AWS: there are no metrics, and alarms are not evaluated (`make drill` shows alarms).
The workflows are STANDARD, so that each execution has a history; on AWS the default is EXPRESS.
Logs of the local cloud: {logs}
Stop it with: make down
"""
DISPATCH = """\
  # Place an order, and read its status and reason. "more orders may join" means that the order
  # waits a few minutes for others. It leaves in time, alone or with others.
  aws events put-events --entries {order}
  aws dynamodb scan --table-name {OrdersTableName}

"""
TOPICS = """\
  # List the topics. Each one gets the accepted photos of a label: docs/use-cases.md.
  aws sns list-topics

"""


def up(cloud: LocalCloud, console: Console) -> int:
    """Start, deploy, and print the commands; if the local cloud is up, only print them."""
    found = LocalCloud.find(cloud.directory)
    if found and found.is_healthy():
        known = f"{found.use_case.name}, ports {found.cloud_port} and {found.serving_port}"
        if found.use_case != cloud.use_case:
            raise LocalCloudError(f"another local cloud is up ({known}): run `make down` first")
        console.print(
            f"The local cloud is up already ({known}). To deploy changed code, or for other ports, "
            "run `make down` and `make up`."
        )
        show_commands(found, found.outputs())
        return 0
    prepare(cloud, console)
    try:
        outputs = Steps(console).deploy(cloud, Web="on")
        prepare_web(cloud, outputs)
        show_commands(cloud, outputs)
    except BaseException:
        cloud.stop()
        raise
    return 0


def show_commands(cloud: LocalCloud, outputs: dict[str, str]) -> None:
    """Print commands for the local cloud, quoted for a shell."""
    values = outputs | {
        "project": str(PROJECT),
        "endpoint": cloud.endpoint_url,
        "certificate": str(cloud.certificate),
        "serving": cloud.serving_url,
        "region": REGION,
        "order": sample_order(outputs["EventBusName"]),
        "photo": cloud.use_case.sample_photo,
    }
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    web, accounts = web_of(cloud, outputs), accounts_of(cloud, outputs)
    pages = {"courier_page": web.courier_page, "console": web.console}
    parts = {
        "dispatch": DISPATCH.format(**quoted) if cloud.use_case.has_dispatch else "",
        "topics": TOPICS if cloud.use_case.topic_labels else "",
    }
    about = {
        "logs": cloud.logs,
        "accounts": "\n".join(accounts),
        "certificate_note": CERTIFICATE_NOTE,
        "use_case": cloud.use_case.make_argument,
    }
    print(COMMANDS.format(**about, **parts, **pages, **quoted))


def accounts_of(cloud: LocalCloud, outputs: dict[str, str]) -> list[str]:
    """A user of each group with a new random password, as `  name (role)  password`."""
    users = Users(cloud.client("cognito-idp"), outputs["UserPoolId"])
    accounts = []
    for name, group in ACCOUNTS.items():
        with suppress(ProblemError):  # the account of an earlier `make up`
            users.create(name, group)
        password = temporary_password()
        users.of_existing("admin_set_user_password", name, Password=password, Permanent=True)
        accounts.append(f"  {name} ({group.removesuffix('s')})  {password}")
    return accounts


def sample_order(bus: str) -> str:
    """The first sample order as an entry for `aws events put-events`."""
    detail = json.dumps(sample_orders(datetime.now(UTC))[0])
    entry = {"EventBusName": bus, "Source": EVENT_SOURCE, "DetailType": "Order Placed"}
    return json.dumps([entry | {"Detail": detail}])


def down(cloud: LocalCloud) -> int:
    """Stop what `up` started."""
    found = LocalCloud.find(cloud.directory)
    if found:
        found.stop()
    print("The local cloud is stopped." if found else "The local cloud was not running.")
    return 0


def main() -> int:
    """Parse the command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["up", "down"])
    add_ports(parser)
    add_use_case(parser)
    arguments = parser.parse_args()
    console = Console()
    cloud = LocalCloud(STATE / "up", arguments.cloud_port, arguments.serving_port)
    if arguments.action == "down":
        return carry_out(lambda: down(cloud), cloud, console)

    def start() -> int:
        cloud.use_case = find_use_case(arguments.use_case)
        return up(cloud, console)

    return carry_out(start, cloud, console)


if __name__ == "__main__":
    sys.exit(main())
