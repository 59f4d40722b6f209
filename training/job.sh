#!/bin/bash
# What a retraining runs in SageMaker's containers, beside this file: job.sh stage|train|evaluate.
# The rest are arguments of the program. statemachine/retrain_model.asl.json gives both.
set -euo pipefail
cd "$(dirname "$0")"
work=/opt/ml/processing
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
step=$1
shift
python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
case $step in
  stage)
    exec python stage_data.py --base $work/base --dataset $work/dataset "$@"
    ;;
  train)
    exec python source/train.py "$@"
    ;;
  evaluate)
    mkdir -p $work/report
    for model in challenger champion; do
      tar --extract --gzip --file $work/$model/model.tar.gz --directory $work/$model
    done
    cp $work/challenger/metadata.json $work/report/
    exec python evaluate.py --model $work/challenger --against $work/champion --gate \
      --dataset $work/dataset --report $work/report "$@"
    ;;
esac
