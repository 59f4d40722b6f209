"""Keep the local cloud running for a person who wants to play.

make up       start it, deploy the stack, print the commands to use it with
make down     stop it
"""

import argparse
import json
import sys
from datetime import UTC, datetime

from cloud import REGION, STATE, LocalCloud, LocalCloudError
from dispatching import SOURCE, sample_orders

COMMANDS = """
The local cloud is up. In another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_CA_BUNDLE={certificate}
  export AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

  # upload a photo of driver 42, and read what was decided
  aws s3 cp local/photos/bicycle-courier.jpg s3://{PhotosBucketName}/uploads/42/
  aws dynamodb scan --table-name {PredictionsTableName}

  # say what the photos show that the model is unsure of
  make review

  # place an order, and read whether it waits, and why
  aws events put-events --entries '{order}'
  aws dynamodb scan --table-name {OrdersTableName}

  # the workflow's executions, and the functions' log
  aws stepfunctions list-executions --state-machine-arn {ClassifyVehicleStateMachineArn}
  aws logs tail {FunctionsLogGroupName}

  # ask the model alone
  curl --data-binary @local/photos/bicycle-courier.jpg {serving}/invocations

Logs of the local cloud: {logs}. Stop it with: make down
"""


def up(cloud_port: int, serving_port: int) -> None:
    """Start, deploy, and print the commands."""
    running = LocalCloud.load(STATE)
    if running:
        raise LocalCloudError(f"it is up already, at {running.endpoint_url}: `make down` stops it")
    cloud = LocalCloud(STATE, cloud_port, serving_port)
    try:
        print("starting the local cloud ...", flush=True)
        cloud.start()
        print("building the functions ...", flush=True)
        cloud.build()
        print("deploying the stack ...", flush=True)
        cloud.wait_until_ready()
        outputs = cloud.deploy()
    except BaseException:
        cloud.stop()
        raise
    cloud.save()
    print(
        COMMANDS.format(
            endpoint=cloud.endpoint_url,
            certificate=cloud.certificate,
            serving=cloud.serving_url,
            region=REGION,
            logs=cloud.logs,
            order=sample_order(outputs["EventBusName"]),
            **outputs,
        )
    )


def sample_order(bus: str) -> str:
    """The first sample order as an entry for `aws events put-events`."""
    detail = json.dumps(sample_orders(datetime.now(UTC))[0])
    entry = {"EventBusName": bus, "Source": SOURCE, "DetailType": "Order Placed", "Detail": detail}
    return json.dumps([entry])


def down() -> None:
    """Stop what `up` started."""
    cloud = LocalCloud.load(STATE)
    if cloud:
        cloud.stop()
        cloud.forget()
    print("The local cloud is stopped." if cloud else "The local cloud was not running.")


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--cloud-port", type=int, default=4566, help="MiniStack's port")
    parser.add_argument("--serving-port", type=int, default=8080, help="the serving app's port")
    arguments = parser.parse_args()
    try:
        if arguments.action == "up":
            up(arguments.cloud_port, arguments.serving_port)
        else:
            down()
    except LocalCloudError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
