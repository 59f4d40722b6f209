# In the place of public.ecr.aws/lambda/python:3.13 where that cannot be pulled: the same folders,
# variables and runtime interface client, on Debian. `sam local invoke` adds the emulator.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG BOTO3_VERSION
RUN python -m pip install --no-cache-dir --target /var/runtime \
    awslambdaric==4.2.2 boto3==${BOTO3_VERSION}
RUN printf '#!/bin/sh\nexec python -m awslambdaric "$_HANDLER"\n' > /var/runtime/bootstrap \
    && chmod +x /var/runtime/bootstrap
ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime PYTHONPATH=/var/runtime
ENV LANG=C.UTF-8 TZ=:/etc/localtime
WORKDIR /var/task
