"""Train on SageMaker, and deploy the model to the endpoint of a deployed stack.

    make launch ARGS="--photos photos"            all steps
    make launch ARGS="--model models/vehicles"    deploy the shipped model, train nothing

To train on this machine, use `make train`. Deploy the stack first (`make deploy`): bucket, role and
image repository are resources of it.
The steps, each alone by its name (`make launch ARGS=deploy`):

    stage     build the dataset if there is none in --dataset, upload it to the training bucket
    train     a GPU job on spot instances; followed until it ends
    evaluate  download the model, evaluate it on the test split, report in build/evaluation/
    image     build the serving image and push it, unless it exists or --image-uri is given
    publish   publish image, code and dataset for the stack's own retraining
    deploy    start DeployModel: register, approve, create or update the endpoint, watch its
              alarms, roll back if one goes to ALARM

The command first checks what would fail, prints what each step costs, and asks. If it was
interrupted, run it again: it skips uploads and images that exist, and follows a running job instead
of starting a second one. If a job with the same dataset, hyperparameters and code has completed,
and its model is not registered, its model is used. Give another --model-version to train again.
"""

import os
import sys
from collections.abc import Callable

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import UserError, explain
from operations.prices import ALARM, ECR_GIB, HOURS, INSTANCE_HOUR, S3_GIB, SERVERLESS_GIB_SECOND
from training.gate import properties
from training.launch import deployment, preflight, serving_image, steps
from training.launch.cloud import Cloud
from training.launch.deployment import Model
from training.launch.settings import Serving, Settings, Training, parse

SCALING_ALARMS = 2  # autoscaling makes them


# ---------------------------------------------------------------- checks and costs


def checks(cloud: Cloud, settings: Settings) -> dict[str, Callable[[], str]]:
    """The checks before the steps, by name."""
    found: dict[str, Callable[[], str]] = {"bucket": lambda: preflight.bucket(cloud)}
    wanted, training, serving = set(settings.steps), settings.training, settings.serving
    stages = {"stage", "publish"} & wanted and not settings.data.is_staged
    if {"train", "evaluate", "publish"} & wanted and not stages:
        found["dataset"] = lambda: preflight.dataset(settings.data.dataset)
    if "train" in wanted and training.job is None:
        spot = not training.on_demand
        found["training quota"] = lambda: preflight.training_quota(
            cloud, training.instance, spot=spot
        )
    if {"train", "publish"} & wanted and training.job is None:
        region = cloud.names.region
        found["training image"] = lambda: preflight.training_image(region, training.instance)
    if "image" in wanted and not serving.image_uri:
        found["docker"] = lambda: preflight.docker(cloud)
    if {"publish", "deploy"} & wanted and "image" not in wanted and not serving.image_uri:
        found["serving image"] = lambda: serving_image.find(cloud)
    if "deploy" in wanted and "evaluate" not in wanted and settings.model:
        model = settings.model
        found["evaluation"] = lambda: f"{len(steps.evaluation_of(model))} measures"
    if "deploy" in wanted and (instance := serving.instance_type):
        found["endpoint quota"] = lambda: preflight.endpoint_quota(cloud, instance)
    if "deploy" in wanted:
        found["endpoint"] = lambda: deployment.check(cloud, serving.instance_type)
    return found


def costs(settings: Settings) -> list[tuple[str, str, str]]:
    """Each step with what it makes, and its price."""
    training = settings.training
    table = {
        "stage": ("the dataset in S3", f"${S3_GIB} per GiB and month"),
        "train": training_cost(training),
        "evaluate": ("on this machine", "nothing"),
        "image": ("the serving image in ECR", f"${ECR_GIB:.2f} per GiB and month"),
        "publish": (
            "for retraining: dataset and code in S3",
            f"${S3_GIB} per GiB and month; a retraining costs {retraining_cost(training)}",
        ),
        "deploy": endpoint_cost(settings.serving),
    }
    return [(step, *table[step]) for step in settings.steps]


def training_cost(training: Training) -> tuple[str, str]:
    if training.job:
        return f"follows {training.job}", "no more than the job costs already"
    hour = INSTANCE_HOUR.get(training.instance)
    price = f"at most ${hour * training.max_minutes / 60:.2f}" if hour else "price unknown"
    kind = "on demand" if training.on_demand else "spot"
    price += "" if training.on_demand else "; spot costs up to 90% less (AWS)"
    return f"{kind} {training.instance}, up to {training.max_minutes} minutes", price


def retraining_cost(training: Training) -> str:
    """An hour on the training instance, and two on ml.m5.xlarge to stage and to evaluate."""
    hour = INSTANCE_HOUR.get(training.instance)
    if hour is None:
        return "an unknown amount"
    return f"at most ${hour + 2 * INSTANCE_HOUR['ml.m5.xlarge']:.2f}"


def endpoint_cost(serving: Serving) -> tuple[str, str]:
    if serving.instance_type is None:
        second = SERVERLESS_GIB_SECOND * serving.memory / 1024
        return (
            f"serverless, {serving.memory} MB, up to {serving.max_concurrency} photos at once",
            f"nothing at rest; ${second:.5f} a second of inference",
        )
    hour = INSTANCE_HOUR.get(serving.instance_type)
    price = f"${HOURS * hour:.0f} a month each" if hour else "an unknown price"
    price += f" and ${SCALING_ALARMS * ALARM:.2f} for its alarms, until it is deleted"
    price += "; an update doubles the instances for about 10 minutes"
    return f"1 to {serving.max_instances} x {serving.instance_type}", price


def ask(question: str, settings: Settings) -> None:
    """Ask, unless --yes is given.

    Raises:
        UserError: the user does not confirm.

    """
    if settings.yes:
        return
    try:
        reply = input(f"{question} [y/N] ").strip().lower()
    except EOFError:
        reply = ""
    if reply not in ("y", "yes"):
        raise UserError("nothing more was done (--yes continues without asking)")


# ---------------------------------------------------------------- the steps


def run(cloud: Cloud, settings: Settings) -> None:
    """Run the steps. If a step is left out, its result is looked up in the account."""
    wanted, data = settings.steps, settings.data
    job, image = settings.training.job, settings.serving.image_uri
    if "stage" in wanted:
        print("\nstage", flush=True)
        print(f"the dataset is in {steps.stage(cloud, data)}")
    if "train" in wanted:
        print("\ntrain", flush=True)
        job = steps.train(cloud, settings.training, data.dataset)
    directory, artifact = settings.model, None
    if {"evaluate", "deploy"} & set(wanted) and directory is None:
        directory, artifact = steps.fetch(cloud, job)
    if "evaluate" in wanted and directory:
        print("\nevaluate", flush=True)
        steps.evaluate(directory, data.dataset)
    if "image" in wanted:
        print("\nimage", flush=True)
        image = steps.image(cloud, settings.serving)
        print(f"the serving image is {image}")
    if "publish" in wanted:
        print("\npublish", flush=True)
        image = image or serving_image.find(cloud)
        for name, value in steps.publish(cloud, data, settings.training, image).items():
            print(f"  {name:<15} {value}")
        print("the stack can retrain now; with AutomaticRetraining=on, alarms start it")
    if "deploy" in wanted and directory:
        print("\ndeploy", flush=True)
        model = Model(directory, steps.evaluation_of(directory), artifact)
        for name, value in properties(model.metadata, model.evaluation).items():
            print(f"  {name:<45} {value}")
        ask("Approve and deploy this model?", settings)
        steps.deploy(cloud, model, image or serving_image.find(cloud), settings.serving)


def launch(settings: Settings) -> None:
    """Check, print the costs, ask, run the steps."""
    if settings.region:
        os.environ["AWS_DEFAULT_REGION"] = settings.region
    cloud = Cloud(settings.stack)
    print(f"account {cloud.names.account}, {cloud.names.region}, as {cloud.caller}")
    preflight.run_checks(checks(cloud, settings))
    print("\ncosts (list prices of us-east-1, 2026):")
    for step, what, price in costs(settings):
        print(f"  {step:<9} {what:<50} {price}")
    if settings.steps != ("deploy",):  # which asks for itself
        ask("Continue?", settings)
    run(cloud, settings)


def main(arguments: list[str] | None = None) -> None:
    settings = parse(str(__doc__), arguments)
    try:
        launch(settings)
    except UserError as error:
        sys.exit(f"launch: {error}")
    except (ClientError, BotoCoreError, Boto3Error) as error:
        sys.exit(f"launch: {explain(error)}")
    except OSError as error:
        sys.exit(f"launch: {error}: fix that, and run it again")
    except KeyboardInterrupt:
        sys.exit("launch: interrupted; run it again to continue")
