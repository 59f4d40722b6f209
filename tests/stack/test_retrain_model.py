"""Retraining: every way through, every argument of every call as AWS's service models take it.

The state machine's expressions are evaluated here by the engine that MiniStack runs them with; what
AWS would answer is given. tests/workflow runs the same ways on the local cloud.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from ministack.services import stepfunctions as engine

from operations.stack import Names
from training import endpoint, training_job

REPOSITORY = Path(__file__).parents[2]
ACCOUNT, REGION = "123456789012", "eu-west-1"
NAMES = Names("scones-unlimited", "scones-vehicle-classifier", ACCOUNT, REGION)
BUCKET = NAMES.training_bucket
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scones-sagemaker"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{NAMES.endpoint}/"
SUBSTITUTIONS = {
    "EndpointName": NAMES.endpoint,
    "EndpointServerErrorsAlarmName": "scones-unlimited-EndpointServerErrorsAlarm-1X",
    "EndpointLatencyAlarmName": "scones-unlimited-EndpointLatencyAlarm-1X",
    "AccuracyAlarmName": "scones-unlimited-AccuracyAlarm-1X",
    "AccuracyDropAlarmName": "scones-unlimited-AccuracyDropAlarm-1X",
    "DriftAlarmName": "scones-unlimited-DriftAlarm-1X",
    "ConfidenceThreshold": "0.95",
    "PhotosBucketName": "scones-unlimited-photosbucket-1abc",
    "TrainingBucketName": BUCKET,
    "TrainingRoleArn": ROLE,
    "TrainingImage": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.13-gpu",
    "TrainingCode": "0123456789abcdef",
    "TrainingDataset": "0badcafe0000",
    "TrainingInstance": "ml.g5.xlarge",
    "RetrainingTableName": "scones-unlimited-RetrainingTable-1ABC",
    "AlarmsTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
}
TEXT = (REPOSITORY / "statemachine" / "retrain_model.asl.json").read_text()
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
INSTANCES = {"InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
GATE = {
    "accepted": True,
    "reason": "30 of 900 photos are named better, 9 worse (p = 0.001), and no label suffers",
    "photos": 900,
    "champion": 0.9012,
    "challenger": 0.9245,
    "name": NAMES.endpoint,
    "version": "2026.11.21-0330",
    "threshold": 0.93,
    "commit": "0123456789abcdef",
    "properties": {"version": "2026.11.21-0330", "dataset": "abc", "test_photos": "0.92"},
}
JOB = f"{NAMES.endpoint}-20261121033015"
REFUSED = GATE | {"accepted": False, "reason": "no better than chance explains"}
ALARM = {"source": "aws.cloudwatch", "detail": {"alarmName": "scones-unlimited-DriftAlarm-1X"}}
CLOCK = {"by": "clock"}
RINGING = {"MetricAlarms": [{"AlarmName": "scones-unlimited-DriftAlarm-1X"}]}
QUIET: dict[str, Any] = {"MetricAlarms": []}
ERRORS = {"MetricAlarms": [{"AlarmName": SUBSTITUTIONS["EndpointServerErrorsAlarmName"]}]}
CHAMPION = f"{NAMES.endpoint}-20261001000000"  # its endpoint configuration
WATCHED = 20  # looks at the alarms, one a minute
NOON, LATER = {"N": "1795262400"}, {"N": "1795262401"}  # 2026-11-21T12:00:00Z, a second later
UNLEARNED = {"labelled_at": NOON}  # the turn's item: labelled, and never retrained
LEARNED = {"labelled_at": NOON, "learned_until": LATER}


def answers(variant: dict[str, Any], gate: dict[str, Any], **others: Any) -> dict[str, Any]:
    """What AWS answers, by state; a tuple is an error and its cause, a list one answer a visit."""
    old = CHAMPION
    serving = {"EndpointStatus": "InService", "EndpointConfigName": old}
    running = {"CurrentInstanceCount": 1} if variant == INSTANCES else {}
    container = {"Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/scones:1"}
    container |= {"ModelDataUrl": f"s3://{BUCKET}/jobs/old/output/model.tar.gz"}
    described = {"VariantName": "AllTraffic", "ModelName": old, "InitialVariantWeight": 1.0}
    return {
        "TakeTurn": {"Attributes": UNLEARNED},
        "DescribeEndpoint": serving | {"ProductionVariants": [running]},
        "DescribeConfiguration": {"ProductionVariants": [described | variant]},
        "DescribeChampion": {"PrimaryContainer": {"ModelPackageName": f"{PACKAGE}7"}},
        "DescribeChampionPackage": {
            "InferenceSpecification": {"Containers": [container]},
            "CustomerMetadataProperties": {"version": "1.2.0", "dataset": "3bb5f2a2c1aa"},
        },
        "TrainChallenger": {
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/jobs/{JOB}/output/model.tar.gz"}
        },
        "ReadGate": {"Body": json.dumps(gate)},
        "RegisterChallenger": {"ModelPackageArn": f"{PACKAGE}8"},
        "SeeEndpoint": [
            {"EndpointStatus": "Updating", "EndpointConfigName": old},
            {"EndpointStatus": "InService", "EndpointConfigName": JOB},
        ],
        "SeeModelAlarms": RINGING,
        "SeeAlarmsBefore": QUIET,
        "SeeAlarms": QUIET,
        "SeeChampion": [
            {"EndpointStatus": "Updating", "EndpointConfigName": JOB},
            {"EndpointStatus": "InService", "EndpointConfigName": old},
        ],
    } | others


class Walk:
    """One way through the state machine: its states, and the arguments of its calls."""

    def __init__(self, given: dict[str, Any], event: dict[str, Any] | None = None) -> None:
        text = re.sub(r"\$\{(\w+)\}", lambda name: SUBSTITUTIONS[name[1]], TEXT)
        self.states = json.loads(text)["States"]
        self.given = {name: iter(v) for name, v in given.items() if isinstance(v, list)}
        self.always = given
        self.visited: list[str] = []
        self.calls: dict[str, dict[str, Any]] = {}
        self.context: dict[str, Any] = {
            "QueryLanguage": "JSONata",
            "Execution": {
                "Id": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:Retrain:1",
                "StartTime": "2026-11-21T03:30:15.123Z",
            },
            "State": {"EnteredTime": "2026-11-21T03:30:15.500Z", "RetryCount": 0},
        }
        self.input: Any = event or {}
        name: str | None = "NameRetraining"
        while name:
            self.visited.append(name)
            name = self.step(name, self.states[name])

    def step(self, name: str, state: dict[str, Any]) -> str | None:
        """Do what a state does; the name of the next."""
        if state["Type"] == "Task":
            return self.call(name, state)
        if state["Type"] == "Choice":
            for way in state["Choices"]:
                if engine._evaluate_jsonata_choice_rule(way, self.input, self.context):
                    self.assign(way)
                    return str(way["Next"])
            self.assign(state)
            return str(state["Default"])
        if state["Type"] == "Fail":
            engine._apply_jsonata_template(state["Cause"], self.input, self.context)
        self.assign(state)
        following: str | None = state.get("Next")
        return following

    def call(self, name: str, state: dict[str, Any]) -> str:
        arguments = engine._apply_jsonata_arguments(state, self.input, self.context)
        check(state["Resource"], arguments)
        self.calls[name] = arguments
        answer = next(self.given[name]) if name in self.given else self.always.get(name, {})
        if isinstance(answer, tuple):
            error = {"Error": answer[0], "Cause": answer[1]}
            way = engine._find_matching_catcher(state["Catch"], answer[0])
            self.assign(way, error_output=error)
            self.input = error
            return str(way["Next"])
        self.assign(state, result=answer)
        self.input = answer
        return str(state["Next"])

    def assign(self, state: dict[str, Any], **values: Any) -> None:
        engine._apply_state_assign(state, self.input, self.context, **values)


@cache
def service(name: str) -> Any:
    models = {"sns": "sns", "dynamodb": "dynamodb", "s3": "s3", "cloudwatch": "cloudwatch"}
    return botocore.session.get_session().get_service_model(models.get(name, "sagemaker"))


def check(resource: str, arguments: dict[str, Any]) -> None:
    """Compare a call's arguments with the service model: names, types, lengths, patterns, enums."""
    *_, name, action = resource.split(":")
    operation = action.removesuffix(".sync")
    shape = service(name).operation_model(operation[0].upper() + operation[1:]).input_shape
    report = ParamValidator().validate(arguments, shape).generate_report()
    problems = ([report] if report else []) + list(deviations(arguments, shape, operation))
    assert not problems, problems


def deviations(value: Any, shape: Any, path: str) -> Iterator[str]:
    """What ParamValidator does not look at."""
    about = shape.metadata
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from deviations(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        if len(value) > about.get("max", len(value)):
            yield f"{path} has {len(value)} members"
        for inner in value:
            yield from deviations(inner, shape.member, f"{path}[]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from deviations(name, shape.key, f"{path} key")
            yield from deviations(inner, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        if "enum" in about and value not in about["enum"]:
            yield f"{path}: {value} is none of {about['enum']}"
        if len(value) > about.get("max", len(value)):
            yield f"{path}: {value} is longer than {about['max']}"
        pattern = about.get("pattern", r"\p").strip("^$")
        if r"\p" not in pattern and not re.fullmatch(pattern, value):  # Python has no \p{L}
            yield f"{path}: {value} does not match {pattern}"


WALKS = {
    "serves": (answers(SERVERLESS, GATE), "ChallengerServes"),
    "serves on an instance": (answers(INSTANCES, GATE), "ChallengerServes"),
    "refused": (answers(SERVERLESS, REFUSED), "ChallengerRefused"),
    "rolled back by AWS": (
        answers(
            INSTANCES,
            GATE,
            SeeEndpoint={
                "EndpointStatus": "InService",
                "EndpointConfigName": CHAMPION,
                "FailureReason": "alarm scones-vehicle-classifier-errors",
            },
        ),
        "ChallengerTakenBack",
    ),
    "taken back on alarms": (
        answers(SERVERLESS, GATE, SeeAlarms=ERRORS),
        "ChallengerTakenBack",
    ),
    "way back fails": (
        answers(
            SERVERLESS,
            GATE,
            SeeAlarms=ERRORS,
            SeeChampion={
                "EndpointStatus": "InService",
                "EndpointConfigName": JOB,
                "FailureReason": "no capacity",
            },
        ),
        "RetrainingFailed",
    ),
    "endpoint fails": (
        answers(
            SERVERLESS, GATE, SeeEndpoint={"EndpointStatus": "Failed", "EndpointConfigName": JOB}
        ),
        "RetrainingFailed",
    ),
    "endpoint is not ready": (
        answers(
            SERVERLESS,
            GATE,
            DescribeEndpoint={"EndpointStatus": "Updating", "EndpointConfigName": "x"},
        ),
        "RetrainingFailed",
    ),
    "another runs": (
        answers(SERVERLESS, GATE, TakeTurn=("DynamoDB.ConditionalCheckFailedException", "")),
        "AlreadyRunning",
    ),
    "nothing is labelled": (
        answers(SERVERLESS, GATE, TakeTurn={"Attributes": LEARNED}),
        "NothingLabelled",
    ),
    "an alarm still rings": (answers(SERVERLESS, REFUSED), "ChallengerRefused"),
    "nothing rings": (
        answers(SERVERLESS, REFUSED, SeeModelAlarms=QUIET),
        "NothingRings",
    ),
}
BY_CLOCK = ("an alarm still rings", "nothing rings")
UNTOLD = ("another runs", "nothing rings")  # nothing happens


def walk(way: str) -> Walk:
    return Walk(WALKS[way][0], CLOCK if way in BY_CLOCK else ALARM)


@pytest.mark.parametrize("way", WALKS)
def test_every_way_ends_as_it_should(way: str) -> None:
    end, taken = WALKS[way][1], walk(way)
    assert taken.visited[-1] == end
    notified = [name for name in taken.visited if name.startswith("Notify")]
    assert len(notified) == (way not in UNTOLD)
    updates = [name for name in taken.visited if name.startswith(("UpdateEndpoint", "GoBack"))]
    assert bool(updates) == (
        end in {"ChallengerServes", "ChallengerTakenBack"}
        or way in {"endpoint fails", "way back fails"}
    )
    # A turn that was taken is given back, whatever happened.
    assert ("TakeTurn" in taken.calls and end != "AlreadyRunning") == any(
        name.startswith("End") for name in taken.calls
    )


def test_every_state_is_on_one_of_the_ways() -> None:
    visited = {name for way in WALKS for name in walk(way).visited}
    assert visited == json.loads(TEXT)["States"].keys()


@pytest.mark.parametrize(
    "failing",
    [
        name
        for name, state in json.loads(TEXT)["States"].items()
        if state["Type"] == "Task" and not name.startswith(("End", "Notify"))
    ],
)
def test_whatever_fails_is_told_and_gives_the_turn_back(failing: str) -> None:
    variant = INSTANCES if failing == "UpdateEndpointOnInstances" else SERVERLESS
    alarmed = failing in ("GoBack", "SeeChampion", "RejectChallenger")
    others = {"SeeAlarms": ERRORS} if alarmed else {}
    given = answers(variant, GATE, **others | {failing: ("Some.Error", "the cause\n" * 500)})
    walk = Walk(given, CLOCK)
    assert walk.visited[-3:] == ["NotifyFailed", "EndFailed", "RetrainingFailed"]
    assert "Some.Error" in walk.calls["NotifyFailed"]["Message"]


# ── What a person reads, and what is kept ──


def test_messages_say_what_happened_and_why() -> None:
    served = Walk(answers(SERVERLESS, GATE), {"by": "anna"}).calls["NotifyServed"]["Message"]
    for words in ("by anna", "2026.11.21-0330 replaces 1.2.0", GATE["reason"], "92.45%", "90.12%"):
        assert str(words) in served
    assert f"s3://{BUCKET}/retraining/20261121033015/report.md" in served
    assert "threshold is 0.93, the stack uses 0.95" in served
    refused = Walk(answers(SERVERLESS, REFUSED), ALARM).calls["NotifyRefused"]["Message"]
    for words in ("alarm scones-unlimited-DriftAlarm-1X", "no better than chance", "(Rejected)"):
        assert words in refused


def failed(cause: str) -> str:
    """What is told of a stage that failed so."""
    given = answers(SERVERLESS, GATE, StageDataset=("States.TaskFailed", cause))
    return str(Walk(given).calls["NotifyFailed"]["Message"])


def test_failed_job_is_told_by_its_reason() -> None:
    """What AWS gives as the cause is the whole job, its reason behind all of its inputs."""
    job = {"ProcessingInputs": ["x" * 2000], "ProcessingJobStatus": "Failed"}
    job |= {"FailureReason": "AlgorithmError: See job logs for more information"}
    said = {"ExitMessage": 'stage_data: no photo is labelled in "labelled/"\n'}
    assert "AlgorithmError: See job logs for more information. Exec" in failed(json.dumps(job))
    message = failed(json.dumps(job | said))
    assert 'more information: stage_data: no photo is labelled in "labelled/"' in message
    assert "xx" not in message


@pytest.mark.parametrize(
    "cause",
    ["Rate exceeded", "", '{"Status": "Stopped"}', '{"FailureReason": "cut off at 32 kB', "{"],
)
def test_cause_that_is_no_failed_job_is_told_as_it_is(cause: str) -> None:
    assert f"States.TaskFailed, {cause}. Execution" in failed(cause)


def test_refused_model_is_kept_as_rejected_with_the_reason() -> None:
    judged = Walk(answers(SERVERLESS, REFUSED)).calls["JudgeChallenger"]
    assert judged["ModelApprovalStatus"] == "Rejected"
    assert judged["ApprovalDescription"] == "no better than chance explains"


def test_model_that_is_taken_back_is_rejected_and_the_old_configuration_serves() -> None:
    walk = Walk(WALKS["taken back on alarms"][0])
    assert walk.calls["GoBack"]["EndpointConfigName"] == CHAMPION
    assert "EndpointServerErrorsAlarm" in walk.calls["RejectChallenger"]["ApprovalDescription"]
    # Nobody is told that the old one serves before it does.
    back = walk.visited.index("GoBack")
    assert walk.visited[back:].count("SeeChampion") == 2
    assert walk.visited.index("NotifyRolledBack") > walk.visited.index("SeeChampion")


def test_way_back_that_fails_is_told() -> None:
    message = Walk(WALKS["way back fails"][0]).calls["NotifyFailed"]["Message"]
    for words in ("EndpointServerErrorsAlarm", CHAMPION, f"InService with {JOB}", "no capacity"):
        assert words in message
    given = answers(SERVERLESS, GATE, SeeAlarms=ERRORS, GoBack=("Some.Error", "denied"))
    message = Walk(given).calls["NotifyFailed"]["Message"]
    assert "EndpointServerErrorsAlarm" in message
    assert "it still serves, and could not be taken back: denied" in message


@pytest.mark.parametrize("state", ["SeeEndpoint", "SeeChampion"])
def test_endpoint_that_is_never_done_is_told_long_before_the_workflow_times_out(state: str) -> None:
    updating = {"EndpointStatus": "Updating", "EndpointConfigName": JOB}
    alarms = ERRORS if state == "SeeChampion" else QUIET
    walk = Walk(answers(SERVERLESS, GATE, SeeAlarms=alarms, **{state: updating}))
    assert walk.visited[-1] == "RetrainingFailed"
    assert walk.visited.count(state) == 120
    assert "Updating" in walk.calls["NotifyFailed"]["Message"]


def test_what_a_retraining_waits_for_takes_less_than_it_may_itself() -> None:
    machine = json.loads(TEXT)
    tasks = [state for state in machine["States"].values() if state["Type"] == "Task"]
    jobs = [state for state in tasks if state["Resource"].endswith(".sync")]
    attempts = {
        id(job): 1 + sum(each["MaxAttempts"] for each in job.get("Retry", [])) for job in jobs
    }
    seconds = sum(job["TimeoutSeconds"] * attempts[id(job)] for job in jobs)
    calls = 30 * 5 * len(tasks)
    minutes = 120 + WATCHED + 120
    assert seconds + calls + minutes * (60 + 30) < machine["TimeoutSeconds"]


# ── The watch over a new model ──


def test_alarm_that_rings_for_a_moment_takes_the_model_back() -> None:
    for quiet in (0, WATCHED - 1):
        looks = [QUIET] * quiet + [ERRORS] + [QUIET] * WATCHED
        walk = Walk(answers(SERVERLESS, GATE, SeeAlarms=looks))
        assert walk.visited[-1] == "ChallengerTakenBack"
        assert walk.visited.count("SeeAlarms") == quiet + 1


def test_new_model_is_watched_for_a_while() -> None:
    walk = Walk(answers(SERVERLESS, GATE))
    assert walk.visited.count("SeeAlarms") == WATCHED
    minutes = walk.visited.count("WatchEndpoint") * walk.states["WatchEndpoint"]["Seconds"] / 60
    assert minutes == WATCHED


def test_alarm_that_rang_before_the_update_is_not_the_new_models() -> None:
    walk = Walk(answers(SERVERLESS, GATE, SeeAlarmsBefore=ERRORS, SeeAlarms=ERRORS))
    assert walk.visited[-1] == "ChallengerServes"
    assert walk.visited.index("SeeAlarmsBefore") < walk.visited.index("UpdateEndpoint")


def test_alarm_that_is_over_and_rings_again_is_the_new_models() -> None:
    looks = [ERRORS, QUIET, ERRORS]
    walk = Walk(answers(SERVERLESS, GATE, SeeAlarmsBefore=ERRORS, SeeAlarms=looks))
    assert walk.visited[-1] == "ChallengerTakenBack"


def test_watch_hears_what_a_model_can_be_blamed_for() -> None:
    """Not what callers do wrong, nor that they are too many."""
    calls = Walk(answers(SERVERLESS, GATE)).calls
    watched = ("EndpointServerErrorsAlarmName", "EndpointLatencyAlarmName")
    for state in ("SeeAlarmsBefore", "SeeAlarms"):
        assert calls[state]["AlarmNames"] == [SUBSTITUTIONS[name] for name in watched]


def test_baseline_is_where_drift_reads_it_before_the_model_serves() -> None:
    walk = Walk(answers(SERVERLESS, GATE))
    copy = walk.calls["KeepBaseline"]
    assert copy["Key"] == f"baselines/{NAMES.endpoint}/2026.11.21-0330.json"
    assert walk.visited.index("KeepBaseline") < walk.visited.index("UpdateEndpoint")


def test_next_retraining_adds_to_the_dataset_of_this_one() -> None:
    calls = Walk(answers(SERVERLESS, GATE)).calls
    [output] = calls["StageDataset"]["ProcessingOutputConfig"]["Outputs"]
    folder = calls["RegisterChallenger"]["CustomerMetadataProperties"]["dataset"]
    assert output["S3Output"]["S3Uri"] == f"s3://{BUCKET}/datasets/{folder}/"
    given = answers(SERVERLESS, GATE)
    for trained_on, base in (("3bb5f2a2c1aa", "0badcafe0000"), (folder, folder)):
        given["DescribeChampionPackage"]["CustomerMetadataProperties"]["dataset"] = trained_on
        inputs = Walk(given).calls["StageDataset"]["ProcessingInputs"]
        assert inputs[1]["S3Input"]["S3Uri"] == f"s3://{BUCKET}/datasets/{base}/"


@pytest.mark.parametrize(
    ("event", "automatic"),
    [
        (ALARM, True),
        (CLOCK, True),
        ({"by": "schedule"}, True),
        ({"by": "anna"}, False),
        ({}, False),
    ],
)
def test_alarms_and_schedules_wait_a_day_people_do_not(
    event: dict[str, Any], automatic: bool
) -> None:
    turn = Walk(answers(SERVERLESS, GATE), event).calls["TakeTurn"]
    until = turn["ExpressionAttributeNames"]["#until"]
    assert until == ("paused_until" if automatic else "running_until")


def test_clock_asks_for_the_alarms_that_start_a_retraining_and_says_which_rings() -> None:
    walk = Walk(answers(SERVERLESS, REFUSED), CLOCK)
    names = [SUBSTITUTIONS[f"{alarm}AlarmName"] for alarm in ("Accuracy", "AccuracyDrop", "Drift")]
    assert walk.calls["SeeModelAlarms"]["AlarmNames"] == names
    assert f"({names[-1]} still in ALARM)" in walk.calls["NotifyRefused"]["Message"]


# ── Only what is new is learned from ──


@pytest.mark.parametrize(
    ("turn", "trains"),
    [
        ({}, False),
        (UNLEARNED, True),
        (LEARNED, False),
        ({"learned_until": LATER}, False),
        ({"labelled_at": LATER, "learned_until": NOON}, True),
        ({"labelled_at": NOON, "learned_until": NOON}, True),  # in doubt
    ],
)
def test_only_people_train_on_what_was_learned_already(turn: dict[str, Any], trains: bool) -> None:
    given = answers(SERVERLESS, REFUSED, TakeTurn={"Attributes": turn})
    for event in (ALARM, CLOCK, {"by": "schedule"}):
        walk = Walk(given, event)
        assert walk.visited[-1] == ("ChallengerRefused" if trains else "NothingLabelled")
        if not trains:  # nothing that costs, and the next who asks need not wait
            assert walk.visited[-4:-2] == ["IsAnythingLabelled", "NotifyNothingLabelled"]
            end = walk.calls["EndNothingLabelled"]["UpdateExpression"]
            assert "paused_until = :now" in end
            assert "learned_until" not in end
    for event in ({"by": "anna"}, {}):
        assert Walk(given, event).visited[-1] == "ChallengerRefused"


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (LEARNED, "no photo was labelled since the last retraining began, 2026-11-21T12:00:01Z."),
        ({}, "no photo was labelled yet."),
    ],
)
def test_who_waits_for_a_retraining_is_told_what_is_missing(
    turn: dict[str, Any], words: str
) -> None:
    walk = Walk(answers(SERVERLESS, GATE, TakeTurn={"Attributes": turn}), ALARM)
    message = walk.calls["NotifyNothingLabelled"]["Message"]
    assert message.startswith(f"Not retrained (alarm scones-unlimited-DriftAlarm-1X): {words}")
    outcome = walk.calls["EndNothingLabelled"]["ExpressionAttributeValues"][":outcome"]["S"]
    assert f"{outcome}." == f"not retrained: {words}"


def test_what_a_model_learned_from_counts_from_the_beginning_of_its_retraining() -> None:
    """What is labelled while it trains is new to the next; what failed has learned nothing."""
    now = Walk(answers(SERVERLESS, GATE)).calls["TakeTurn"]["ExpressionAttributeValues"][":now"]
    for way, end in (
        ("serves", "EndServed"),
        ("refused", "EndRefused"),
        ("taken back on alarms", "EndRolledBack"),
    ):
        ended = walk(way).calls[end]
        assert "learned_until = :began" in ended["UpdateExpression"]
        assert ended["ExpressionAttributeValues"][":began"] == now
    assert "learned_until" not in walk("endpoint fails").calls["EndFailed"]["UpdateExpression"]


def test_turn_is_taken_without_forgetting_what_was_labelled() -> None:
    turn = Walk(answers(SERVERLESS, GATE)).calls["TakeTurn"]
    assert turn["ReturnValues"] == "ALL_NEW"
    for name in ("labelled_at", "learned_until"):
        assert name not in turn["UpdateExpression"]


def test_what_a_schedule_starts_is_not_held_up_by_what_it_started_the_day_before() -> None:
    """The next day's may come some seconds early, or this one seconds late."""
    turn = Walk(answers(SERVERLESS, GATE), CLOCK).calls["TakeTurn"]
    values = {
        name: int(value.get("N", 0)) for name, value in turn["ExpressionAttributeValues"].items()
    }
    assert values[":paused_until"] <= values[":now"] + 24 * 3600 - 60


def test_stage_that_is_tried_again_has_a_name_of_its_own() -> None:
    walk = Walk(answers(SERVERLESS, GATE))
    walk.context["State"]["RetryCount"] = 1
    walk.call("StageDataset", walk.states["StageDataset"])
    assert walk.calls["StageDataset"]["ProcessingJobName"] == f"{JOB}-stage-1"


# ── The same as launch.py does ──


class Recorder:
    """A client that notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls[name] = arguments
            return {"ModelPackageArn": f"{PACKAGE}8"}

        return call

    def get_paginator(self, _: str) -> Any:
        pages = SimpleNamespace(search=lambda _: [{"ModelPackageGroupName": NAMES.endpoint}])
        return SimpleNamespace(paginate=lambda **_: pages)


@pytest.fixture
def cloud() -> Any:
    recorder = Recorder()
    tags = [{"Key": key, "Value": value} for key, value in NAMES.tags.items()]
    return SimpleNamespace(names=NAMES, tags=tags, client=lambda _: recorder, recorder=recorder)


def test_models_are_registered_as_by_launch(cloud: Any) -> None:
    calls = Walk(answers(SERVERLESS, GATE)).calls
    package = calls["RegisterChallenger"]
    container = package["InferenceSpecification"]["Containers"][0]
    version, code = {"name": GATE["name"], "version": GATE["version"]}, {"commit": GATE["commit"]}
    metadata = version | {"code": code, "data": {"dataset": "20261121033015"}, "threshold": 0.93}
    endpoint.register(cloud, container["Image"], container["ModelDataUrl"], metadata, {})
    expected = cloud.recorder.calls["create_model_package"]
    assert package.pop("ClientToken")
    properties = package.pop("CustomerMetadataProperties")
    assert properties["dataset"] == expected.pop("CustomerMetadataProperties")["dataset"]
    quality, launched = (each.pop("ModelMetrics")["ModelQuality"] for each in (package, expected))
    assert quality["Statistics"].keys() == launched["Statistics"].keys()
    assert package == expected
    assert calls["CreateModel"]["Tags"] == cloud.tags


@pytest.mark.parametrize("running", [1, 2])
def test_endpoints_on_instances_are_updated_as_by_launch(cloud: Any, running: int) -> None:
    given = answers(INSTANCES, GATE)
    given["DescribeEndpoint"]["ProductionVariants"] = [{"CurrentInstanceCount": running}]
    update = Walk(given).calls["UpdateEndpointOnInstances"]
    expected = endpoint.deployment_config(cloud, canary=running > 1)
    assert update["DeploymentConfig"] == expected
    assert update["RetainAllVariantProperties"] is True


@pytest.mark.parametrize("variant", [SERVERLESS, INSTANCES])
def test_models_are_taken_back_as_by_launch(
    cloud: Any, variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scaled endpoint keeps its number of instances."""
    monkeypatch.setattr(endpoint, "wait", lambda *_: None)
    before = {"Config": {"ProductionVariants": [variant]}, "EndpointConfigName": CHAMPION}
    endpoint.take_back(cloud, before, variant)
    calls = Walk(answers(variant, GATE, SeeAlarms=ERRORS)).calls
    given = {"EndpointName", "EndpointConfigName", "RetainAllVariantProperties"}
    assert calls["GoBack"].keys() == given
    launched = cloud.recorder.calls["update_endpoint"]
    assert calls["GoBack"] == {name: launched[name] for name in given}
    assert calls["GoBack"]["RetainAllVariantProperties"] == ("InstanceType" in variant)


@pytest.mark.parametrize("variant", [SERVERLESS, INSTANCES])
def test_endpoint_stays_what_it_runs_on(variant: dict[str, Any]) -> None:
    calls = Walk(answers(variant, GATE)).calls
    [made] = calls["CreateConfiguration"]["ProductionVariants"]
    assert made | variant == made
    assert (made["VariantName"], made["ModelName"]) == (endpoint.VARIANT, JOB)
    assert calls["CreateModel"]["EnableNetworkIsolation"] == ("InstanceType" in variant)
    assert ("DeploymentConfig" in calls.get("UpdateEndpoint", {})) is False


def test_training_prints_the_metrics_that_launch_draws() -> None:
    job = Walk(answers(SERVERLESS, GATE)).calls["TrainChallenger"]
    expected = [
        {"Name": name, "Regex": rf"(?:^|\s){name}={training_job.NUMBER}"}
        for name in training_job.METRICS
    ]
    assert job["AlgorithmSpecification"]["MetricDefinitions"] == expected


def test_names_are_those_that_cleanup_finds() -> None:
    calls = Walk(answers(SERVERLESS, GATE)).calls
    named = {
        "StageDataset": "ProcessingJobName",
        "TrainChallenger": "TrainingJobName",
        "EvaluateChallenger": "ProcessingJobName",
        "CreateModel": "ModelName",
        "CreateConfiguration": "EndpointConfigName",
    }
    tags = [{"Key": key, "Value": value} for key, value in NAMES.tags.items()]
    for state, name in named.items():
        assert calls[state][name].startswith(NAMES.prefix), state
        assert calls[state]["Tags"] == tags, state
