#!/bin/bash
# What a retraining runs in SageMaker's containers, beside this file: job.sh stage|train|evaluate.
# The rest are arguments of the program. statemachine/retrain_model.asl.json gives both.
set -euo pipefail
cd "$(dirname "$0")"
work=/opt/ml/processing
output=/opt/ml/output
export PYTHONUNBUFFERED=1
step=$1
shift

# SageMaker reads why a processing job failed in message, and why a training job did in failure.
errors=$(mktemp)
explain() {
  mkdir -p $output
  tail -n 1 "$errors" | tee $output/message > $output/failure
}
trap '(($? == 0)) || explain' EXIT

exec 3>&1
{
  python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
  case $step in
    stage)
      python -m training.dataset.stage --base $work/base --dataset $work/dataset "$@"
      ;;
    train)
      # A new head on the features of the model in start/, in minutes.
      python -m training.classifier.train --backbone start "$@"
      ;;
    evaluate)
      mkdir -p $work/report
      for model in challenger champion; do
        tar --extract --gzip --file $work/$model/model.tar.gz --directory $work/$model
      done
      cp $work/challenger/metadata.json $work/report/
      python -m training.evaluate --model $work/challenger --against $work/champion --gate \
        --dataset $work/dataset --report $work/report "$@"
      ;;
  esac
} 2>&1 >&3 | tee "$errors" >&2
