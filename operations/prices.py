"""List prices of us-east-1 in 2026, in US dollars, without free tiers and requests.

https://aws.amazon.com/s3/pricing/, and likewise ecr, cloudwatch, dynamodb and sagemaker/ai.
"""

# A month
S3_GIB, ECR_GIB, LOGS_GIB, ALARM = 0.023, 0.10, 0.03, 0.10
TABLE_GIB = 0.25 + 0.20  # storage, and point-in-time recovery

HOURS = 730  # in a month
INSTANCE_HOUR = {
    "ml.t2.medium": 0.056,
    "ml.c5.large": 0.102,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g5.xlarge": 1.408,
}
SERVERLESS_GIB_SECOND = 0.00002
