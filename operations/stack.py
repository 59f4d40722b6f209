"""The deployed stack: its outputs and parameters, and the names of what belongs to it."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from operations.errors import UserError

DEFAULT_STACK = "scones-unlimited"
EVENT_SOURCE = "scones-unlimited"  # of all events on the stack's bus
DEFAULT_ENDPOINT = "scones-vehicle-classifier"
VARIANT = "AllTraffic"  # the endpoint's one variant
# Other projects of the account log here as well.
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
PROCESSING_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


@dataclass(frozen=True)
class Names:
    """Names of the resources of a stack and its training in an account and region.

    Endpoint and model package group have the endpoint's name. Names of endpoint configurations,
    models, training jobs and processing jobs begin with `prefix`; they have `tags`.
    """

    stack: str
    endpoint: str
    account: str
    region: str

    @property
    def prefix(self) -> str:
        return f"{self.endpoint}-"

    @property
    def tags(self) -> dict[str, str]:
        return {"project": "scones-unlimited", "endpoint": self.endpoint}

    @property
    def log_groups(self) -> tuple[str, ...]:
        of_endpoint = f"/aws/sagemaker/Endpoints/{self.endpoint}"
        return f"/aws/lambda/{self.stack}", f"/aws/vendedlogs/states/{self.stack}", of_endpoint


def scalable_target(endpoint: str) -> dict[str, str]:
    """The scalable target of an endpoint on instances, for Application Auto Scaling."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


@dataclass(frozen=True)
class Stack:
    """A CloudFormation stack that exists, whatever its status."""

    id: str
    name: str
    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    is_protected: bool

    def output(self, name: str) -> str:
        """The value of an output.

        Raises:
            UserError: the stack has no such output.

        """
        return self._value(self.outputs, name)

    def parameter(self, name: str) -> str:
        """The value of a parameter.

        Raises:
            UserError: the stack has no such parameter.

        """
        return self._value(self.parameters, name)

    def _value(self, values: dict[str, str], name: str) -> str:
        if name not in values:
            raise UserError(
                f"stack {self.name} ({self.status}) has no {name}: deploy it again with `make "
                "deploy`, or give another --stack-name"
            )
        return values[name]


def find_stack(cloudformation: Any, name: str) -> Stack | None:
    """Look up a stack by name; None if there is none. `cloudformation` is a boto3 client."""
    try:
        [found] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return Stack(
        id=found["StackId"],
        name=name,
        status=found["StackStatus"],
        parameters={
            each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
        },
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
        is_protected=found.get("EnableTerminationProtection", False),
    )


def require_stack(cloudformation: Any, name: str) -> Stack:
    """Look up a stack that has to exist.

    Raises:
        UserError: there is no such stack.

    """
    stack = find_stack(cloudformation, name)
    if stack is None:
        raise UserError(
            f"there is no stack {name} in {cloudformation.meta.region_name}: deploy it with `make "
            "deploy`, or choose another one: --stack-name, USE_CASE= or AWS_DEFAULT_REGION"
        )
    return stack
