"""The image of the serving container: built from serving/, pushed to the stack's repository."""

import base64
import contextlib
import hashlib
import os
import subprocess
from pathlib import Path

from botocore.exceptions import ClientError

from operations.errors import UserError
from training.launch.cloud import Cloud

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "serving/Dockerfile"


def tag() -> str:
    """A hash of everything that goes into the image."""
    digest = hashlib.sha256()
    for path in sorted(
        [DOCKERFILE, *DOCKERFILE.parent.glob("*.py"), *DOCKERFILE.parent.glob("*.txt")]
    ):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def find(cloud: Cloud) -> str:
    """The URI of the pushed image of this serving code.

    Raises:
        UserError: it is not there.

    """
    uri = cloud.stack.output("ImageRepositoryUri")
    try:
        cloud.client("ecr").describe_images(
            repositoryName=uri.partition("/")[2], imageIds=[{"imageTag": tag()}]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            raise UserError("there is no serving image: run the step image first") from error
        raise
    return f"{uri}:{tag()}"


def push(cloud: Cloud) -> str:
    """Build the serving image and push it, unless it is there; return its URI."""
    with contextlib.suppress(UserError):
        return find(cloud)
    uri = f"{cloud.stack.output('ImageRepositoryUri')}:{tag()}"
    answer = cloud.client("ecr").get_authorization_token()
    token = answer["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    registry = uri.partition("/")[0]
    docker("login", "--username", user, "--password-stdin", registry, stdin=password)
    target = ("--platform", "linux/amd64", "--tag", uri, "--file", str(DOCKERFILE))
    docker("build", *target, str(REPOSITORY))
    docker("push", uri)
    return uri


def docker(*arguments: str, stdin: str | None = None) -> None:
    # SageMaker takes no image index, and an attestation makes one of an image.
    environment = os.environ | {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    command = ["docker", *arguments]
    if subprocess.run(command, input=stdin, text=True, env=environment, check=False).returncode:
        raise UserError(f"docker {arguments[0]} failed, as said above")
