"""Who may do what: every permission that the template may grant."""

LAMBDA = "lambda.amazonaws.com"
SAGEMAKER = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:"
LOGS = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
TRAINING_IMAGES = "arn:${AWS::Partition}:ecr:${AWS::Region}:*:repository/pytorch*"
SCALING = "arn:${AWS::Partition}:application-autoscaling:${AWS::Region}:${AWS::AccountId}:"
NAMESPACES = "/aws/sagemaker/*,aws/sagemaker/*"
SCALING_ALARMS = (
    "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:"
    "alarm:TargetTracking-endpoint/${EndpointName}/*"
)
EVENTS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"
NESTED_RULE = EVENTS + "StepFunctionsGetEventsForStepFunctionsExecutionRule"
MODEL_ALARM_RULE = EVENTS + "${AWS::StackName}-model-alarm"
TOPIC_RULES = EVENTS + "${EventBus}/${AWS::StackName}-topic-"
DEPLOYMENTS = (
    "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:"
    "execution:${DeployModelStateMachine.Name}:*"
)
TRAINING_RUN = (
    "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${TrainingRunParameter}"
)
SCALING_ROLE = (
    "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/"
    "sagemaker.application-autoscaling.amazonaws.com/*"
)
UNENCRYPTED = "if Bool aws:SecureTransport false"
OWN_ENDPOINT = (
    "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${EndpointName}"
)
OWN_RULE = "if ArnEquals aws:SourceArn ${{{}.Arn}}"
DISPATCH_RULES = "if ArnEquals aws:SourceArn ${CheckInRule.Arn},${OrderRule.Arn}"
ONLY_THE_LEASE = "if ForAllValues:StringEquals dynamodb:Attributes image_id,review_state,lease"
OWN_PREFIX = "if StringLike s3:prefix labelled/*"
OWN_ACCOUNT = "if StringEquals aws:SourceAccount ${AWS::AccountId}"

RULE = (  # followed by the name of a rule
    "events.amazonaws.com if StringEquals aws:SourceAccount ${{AWS::AccountId}} "
    "if ArnEquals aws:SourceArn "
    "arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:rule/{}"
)
STEP_FUNCTIONS = f"states.amazonaws.com {OWN_ACCOUNT}"
PASS_ROLE = (
    "iam:PassRole if StringEquals iam:PassedToService sagemaker.amazonaws.com",
    "${SageMakerRole.Arn}",
)


def sagemaker(resource: str, *actions: str) -> set[tuple[str, str]]:
    return {(f"sagemaker:{action}", SAGEMAKER + resource) for action in actions}


ROLES = {
    "SerializeImageRole": (
        LAMBDA,
        {
            ("s3:GetObject", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:GetObjectVersion", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:ListBucket", "${PhotosBucket.Arn}"),
        },
    ),
    "ClassifyImageRole": (
        LAMBDA,
        {("sagemaker:InvokeEndpoint", OWN_ENDPOINT)},
    ),
    "FilterInferencesRole": (LAMBDA, set()),
    "MeasureDriftRole": (
        LAMBDA,
        {
            ("dynamodb:Query", "${PredictionsTable.Arn}/index/by_hour"),
            ("dynamodb:Query", "${DriftTable.Arn}"),
            ("dynamodb:UpdateItem", "${DriftTable.Arn}"),
            ("s3:GetObject", "${PhotosBucket.Arn}/baselines/*"),
            ("s3:ListBucket", "${PhotosBucket.Arn}"),
        },
    ),
    "MeasureDriftScheduleRole": (
        f"scheduler.amazonaws.com {OWN_ACCOUNT}",
        {("lambda:InvokeFunction", "${MeasureDriftFunction.Arn}")},
    ),
    "DispatchOrdersRole": (
        LAMBDA,
        {
            ("sqs:ReceiveMessage", "${DispatchQueue.Arn}"),
            ("sqs:DeleteMessage", "${DispatchQueue.Arn}"),
            ("sqs:GetQueueAttributes", "${DispatchQueue.Arn}"),
            ("dynamodb:Scan", "${CouriersTable.Arn}"),
            ("dynamodb:UpdateItem", "${CouriersTable.Arn}"),
            ("dynamodb:BatchGetItem", "${OrdersTable.Arn}"),
            ("dynamodb:PutItem", "${OrdersTable.Arn}"),
            ("dynamodb:UpdateItem", "${OrdersTable.Arn}"),
            ("dynamodb:Query", "${OrdersTable.Arn}/index/to_dispatch"),
            ("events:PutEvents", "${EventBus.Arn}"),
        },
    ),
    "ServeWebRole": (LAMBDA, set()),
    "CourierApiRole": (
        LAMBDA,
        {
            ("s3:PutObject", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:GetObject", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:ListBucket", "${PhotosBucket.Arn}"),
            ("dynamodb:BatchGetItem", "${PredictionsTable.Arn}"),
            ("dynamodb:BatchGetItem", "${OrdersTable.Arn}"),
            ("dynamodb:GetItem", "${CouriersTable.Arn}"),
            ("events:PutEvents", "${EventBus.Arn}"),
        },
    ),
    "ConsoleApiRole": (
        LAMBDA,
        {
            ("dynamodb:Scan", "${CouriersTable.Arn}"),
            ("dynamodb:GetItem", "${OrdersTable.Arn}"),
            ("dynamodb:Query", "${OrdersTable.Arn}/index/open_orders"),
            ("dynamodb:Query", "${OrdersTable.Arn}/index/by_day"),
            ("dynamodb:Query", "${PredictionsTable.Arn}/index/by_hour"),
            ("dynamodb:Query", "${PredictionsTable.Arn}/index/to_review"),
            ("dynamodb:GetItem", "${PredictionsTable.Arn}"),
            (f"dynamodb:UpdateItem {ONLY_THE_LEASE}", "${PredictionsTable.Arn}"),
            ("dynamodb:Query", "${DriftTable.Arn}"),
            ("dynamodb:GetItem", "${RetrainingTable.Arn}"),
            ("cloudwatch:DescribeAlarms", "*"),
            ("events:PutEvents", "${EventBus.Arn}"),
            *(
                (f"cognito-idp:{action}", "${UserPool.Arn}")
                for action in (
                    "ListUsers",
                    "AdminListGroupsForUser",
                    "AdminCreateUser",
                    "AdminAddUserToGroup",
                    "AdminSetUserPassword",
                    "AdminUserGlobalSignOut",
                    "AdminDisableUser",
                    "AdminEnableUser",
                )
            ),
        },
    ),
    "PreviewPhotoRole": (
        LAMBDA,
        {
            ("s3:GetObject", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:GetObjectVersion", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:ListBucket", "${PhotosBucket.Arn}"),
            ("sagemaker:InvokeEndpoint", OWN_ENDPOINT),
        },
    ),
    "ReplanScheduleRole": (
        f"scheduler.amazonaws.com {OWN_ACCOUNT}",
        {("sqs:SendMessage", "${DispatchQueue.Arn}")},
    ),
    "ClassifyPhotoRole": (
        STEP_FUNCTIONS,
        {
            ("lambda:InvokeFunction", "${SerializeImageFunction.Arn}"),
            ("lambda:InvokeFunction", "${ClassifyImageFunction.Arn}"),
            ("lambda:InvokeFunction", "${FilterInferencesFunction.Arn}"),
            ("dynamodb:PutItem", "${PredictionsTable.Arn}"),
            ("dynamodb:UpdateItem", "${PredictionsTable.Arn}"),
            ("events:PutEvents", "${EventBus.Arn}"),
            ("sqs:SendMessage", "${UploadsDeadLetterQueue.Arn}"),
        },
    ),
    "PhotoUploadedRole": (
        RULE.format("${AWS::StackName}-photo-uploaded"),
        {("states:StartExecution", "${ClassifyPhotoStateMachine}")},
    ),
    "RecordReviewRole": (
        STEP_FUNCTIONS,
        {
            ("dynamodb:UpdateItem", "${PredictionsTable.Arn}"),
            ("dynamodb:GetItem", "${PredictionsTable.Arn}"),
            ("dynamodb:UpdateItem", "${RetrainingTable.Arn}"),
            ("s3:GetObject", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:GetObjectVersion", "${PhotosBucket.Arn}/uploads/*"),
            ("s3:PutObject", "${PhotosBucket.Arn}/labelled/*"),
            ("s3:DeleteObject", "${PhotosBucket.Arn}/labelled/*"),
            ("s3:ListBucket", "${PhotosBucket.Arn}"),
            ("events:PutEvents", "${EventBus.Arn}"),
            ("sqs:SendMessage", "${ReviewsDeadLetterQueue.Arn}"),
        },
    ),
    "PhotoReviewedRole": (
        RULE.format("${EventBus}/${AWS::StackName}-photo-reviewed"),
        {("states:StartExecution", "${RecordReviewStateMachine}")},
    ),
    "SageMakerRole": (
        f"sagemaker.amazonaws.com {OWN_ACCOUNT}",
        {
            ("s3:ListBucket", "${TrainingBucket.Arn}"),
            ("s3:GetObject", "${TrainingBucket.Arn}/*"),
            ("s3:PutObject", "${TrainingBucket.Arn}/*"),
            ("s3:DeleteObject", "${TrainingBucket.Arn}/*"),
            ("s3:GetObject", "${PhotosBucket.Arn}/labelled/*"),
            (f"s3:ListBucket {OWN_PREFIX}", "${PhotosBucket.Arn}"),
            *(
                (f"ecr:{action}", repository)
                for action in (
                    "BatchCheckLayerAvailability",
                    "BatchGetImage",
                    "GetDownloadUrlForLayer",
                )
                for repository in ("${ImageRepository.Arn}", TRAINING_IMAGES)
            ),
            ("ecr:GetAuthorizationToken", "*"),
            ("logs:CreateLogGroup", LOGS + "/aws/sagemaker/*"),
            ("logs:CreateLogStream", LOGS + "/aws/sagemaker/*"),
            ("logs:DescribeLogStreams", LOGS + "/aws/sagemaker/*"),
            ("logs:PutLogEvents", LOGS + "/aws/sagemaker/*"),
            (
                f"cloudwatch:PutMetricData if StringLike cloudwatch:namespace {NAMESPACES}",
                "*",
            ),
        },
    ),
    "DeployModelRole": (
        STEP_FUNCTIONS,
        {
            *sagemaker(
                "model-package-group/${EndpointName}",
                "DescribeModelPackageGroup",
                "CreateModelPackageGroup",
                "AddTags",
                "CreateModelPackage",
                "DescribeModelPackage",
                "UpdateModelPackage",
            ),
            *sagemaker(
                "model-package/${EndpointName}/*",
                "CreateModelPackage",
                "DescribeModelPackage",
                "UpdateModelPackage",
            ),
            *sagemaker("model/${EndpointName}-*", "CreateModel", "AddTags"),
            *sagemaker(
                "endpoint-config/${EndpointName}-*",
                "CreateEndpointConfig",
                "DescribeEndpointConfig",
                "CreateEndpoint",
                "UpdateEndpoint",
                "AddTags",
            ),
            *sagemaker(
                "endpoint/${EndpointName}",
                "CreateEndpoint",
                "DescribeEndpoint",
                "UpdateEndpoint",
                "UpdateEndpointWeightsAndCapacities",
                "AddTags",
            ),
            PASS_ROLE,
            ("application-autoscaling:RegisterScalableTarget", SCALING + "scalable-target/*"),
            ("application-autoscaling:DeregisterScalableTarget", SCALING + "scalable-target/*"),
            ("application-autoscaling:PutScalingPolicy", SCALING + "scalable-target/*"),
            ("cloudwatch:PutMetricAlarm", SCALING_ALARMS),
            ("cloudwatch:DeleteAlarms", SCALING_ALARMS),
            ("iam:CreateServiceLinkedRole", SCALING_ROLE),
            # AWS does not document a narrower resource for several alarms.
            ("cloudwatch:DescribeAlarms", "*"),
            ("s3:GetObject", "${TrainingBucket.Arn}/reports/*"),
            ("s3:PutObject", "${PhotosBucket.Arn}/baselines/*"),
        },
    ),
    "RetrainModelRole": (
        STEP_FUNCTIONS,
        {
            *sagemaker(
                "training-job/${EndpointName}-*",
                "CreateTrainingJob",
                "DescribeTrainingJob",
                "AddTags",
            ),
            *sagemaker(
                "processing-job/${EndpointName}-*",
                "CreateProcessingJob",
                "DescribeProcessingJob",
                "AddTags",
            ),
            PASS_ROLE,
            *sagemaker("endpoint/${EndpointName}", "DescribeEndpoint"),
            *sagemaker("endpoint-config/${EndpointName}-*", "DescribeEndpointConfig"),
            *sagemaker("model/${EndpointName}-*", "DescribeModel"),
            *sagemaker("model-package/${EndpointName}/*", "DescribeModelPackage"),
            ("states:StartExecution", "${DeployModelStateMachine}"),
            ("states:DescribeExecution", DEPLOYMENTS),
            ("states:StopExecution", DEPLOYMENTS),
            ("events:PutTargets", NESTED_RULE),
            ("events:PutRule", NESTED_RULE),
            ("events:DescribeRule", NESTED_RULE),
            # AWS does not document a narrower resource for several alarms.
            ("cloudwatch:DescribeAlarms", "*"),
            ("s3:GetObject", "${TrainingBucket.Arn}/reports/*"),
            ("ssm:GetParameter", TRAINING_RUN),
            ("dynamodb:UpdateItem", "${RetrainingTable.Arn}"),
            ("sns:Publish", "${AlarmsTopic}"),
        },
    ),
    "ModelAlarmRuleRole": (
        f"events.amazonaws.com {OWN_ACCOUNT} if ArnEquals aws:SourceArn {MODEL_ALARM_RULE}",
        {("states:StartExecution", "${RetrainModelStateMachine}")},
    ),
    "RetrainModelScheduleRole": (
        f"scheduler.amazonaws.com {OWN_ACCOUNT}",
        {("states:StartExecution", "${RetrainModelStateMachine}")},
    ),
}
MANAGED_POLICIES = {
    "WriteLogsAndTracesPolicy": {
        ("logs:CreateLogStream", "${FunctionsLogGroup.Arn}"),
        ("logs:PutLogEvents", "${FunctionsLogGroup.Arn}"),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
    },
    "DeliverLogsAndTracesPolicy": {  # AWS documents no resources for these actions
        ("logs:CreateLogDelivery", "*"),
        ("logs:GetLogDelivery", "*"),
        ("logs:UpdateLogDelivery", "*"),
        ("logs:DeleteLogDelivery", "*"),
        ("logs:ListLogDeliveries", "*"),
        ("logs:PutResourcePolicy", "*"),
        ("logs:DescribeResourcePolicies", "*"),
        ("logs:DescribeLogGroups", "*"),
        ("xray:PutTraceSegments", "*"),
        ("xray:PutTelemetryRecords", "*"),
        ("xray:GetSamplingRules", "*"),
        ("xray:GetSamplingTargets", "*"),
    },
}
MANAGED_POLICY_OF = {
    LAMBDA: [{"Ref": "WriteLogsAndTracesPolicy"}],
    STEP_FUNCTIONS: [{"Ref": "DeliverLogsAndTracesPolicy"}],
}
RESOURCE_POLICIES = {
    "PhotosBucketPolicy": {
        f"Deny * s3:* ${{PhotosBucket.Arn}} {UNENCRYPTED}",
        f"Deny * s3:* ${{PhotosBucket.Arn}}/* {UNENCRYPTED}",
    },
    "TrainingBucketPolicy": {
        f"Deny * s3:* ${{TrainingBucket.Arn}} {UNENCRYPTED}",
        f"Deny * s3:* ${{TrainingBucket.Arn}}/* {UNENCRYPTED}",
    },
    "UploadsDeadLetterQueuePolicy": {
        f"Deny * sqs:* ${{UploadsDeadLetterQueue.Arn}} {UNENCRYPTED}",
        "Allow events.amazonaws.com sqs:SendMessage ${UploadsDeadLetterQueue.Arn} "
        + OWN_RULE.format("PhotoUploadedRule"),
    },
    "ReviewsDeadLetterQueuePolicy": {
        f"Deny * sqs:* ${{ReviewsDeadLetterQueue.Arn}} {UNENCRYPTED}",
        "Allow events.amazonaws.com sqs:SendMessage ${ReviewsDeadLetterQueue.Arn} "
        + OWN_RULE.format("PhotoReviewedRule"),
    },
    "DispatchQueuePolicy": {
        f"Deny * sqs:* ${{DispatchQueue.Arn}} {UNENCRYPTED}",
        f"Allow events.amazonaws.com sqs:SendMessage ${{DispatchQueue.Arn}} {DISPATCH_RULES}",
    },
    "DispatchDeadLetterQueuePolicy": {
        f"Deny * sqs:* ${{DispatchDeadLetterQueue.Arn}} {UNENCRYPTED}",
    },
    "DispatchEventsDeadLetterQueuePolicy": {
        f"Deny * sqs:* ${{DispatchEventsDeadLetterQueue.Arn}} {UNENCRYPTED}",
        "Allow events.amazonaws.com sqs:SendMessage ${DispatchEventsDeadLetterQueue.Arn} "
        + DISPATCH_RULES,
    },
    "TopicsDeadLetterQueuePolicy": {
        f"Deny * sqs:* ${{TopicsDeadLetterQueue.Arn}} {UNENCRYPTED}",
        (
            "Allow events.amazonaws.com sqs:SendMessage ${TopicsDeadLetterQueue.Arn} "
            f"if ArnLike aws:SourceArn {TOPIC_RULES}*"
        ),
    },
    "brokenTopicPolicy": {
        (
            "Allow events.amazonaws.com sns:Publish ${brokenTopic} "
            f"if ArnEquals aws:SourceArn {TOPIC_RULES}broken"
        ),
    },
    "AlarmsTopicPolicy": {
        f"Allow cloudwatch.amazonaws.com sns:Publish ${{AlarmsTopic}} {OWN_ACCOUNT}",
    },
}
