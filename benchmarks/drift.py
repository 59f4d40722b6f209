"""Measure drift detection: its delay, its false alarms, its estimate of the accuracy, its speed.

    .venv/bin/python -m benchmarks.drift speed                            # 40,000 predictions
    .venv/bin/python -m benchmarks.drift detection                        # simulated days, minutes
    .venv/bin/python -m benchmarks.drift accuracy --dataset build/dataset # real photos, staged

`speed` runs the function in a process of its own. A DynamoDB on loopback returns pages of a
megabyte, as AWS does. `detection` simulates 500 photos a day whose confidences are those of the
baseline. `accuracy` corrupts real photos of the test split, compares the estimated with the true
accuracy, and gives the detectors a stream of these photos. Intervals are Wilson's at 95%.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.drift_accuracy import accuracy
from benchmarks.drift_detection import detection
from benchmarks.drift_photos import REPOSITORY
from benchmarks.drift_speed import speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", choices=["speed", "detection", "accuracy"])
    parser.add_argument("--predictions", type=int, default=40_000, help="of the hour (speed)")
    parser.add_argument("--runs", type=int, default=200, help="of each change (default 200)")
    parser.add_argument("--quarters", type=int, default=20, help="of 90 quiet days (default 20)")
    parser.add_argument("--dataset", type=Path, default=REPOSITORY / "build" / "dataset")
    arguments = parser.parse_args()
    if arguments.part == "speed":
        speed(arguments.predictions)
    elif arguments.part == "detection":
        detection(arguments.runs, arguments.quarters)
    elif not (arguments.dataset / "manifest.csv").is_file():
        sys.exit(
            f"there is no dataset in {arguments.dataset}: run "
            "`.venv-training/bin/python -m training.dataset.stage`"
        )
    else:
        accuracy(arguments.dataset, arguments.runs, arguments.quarters)


if __name__ == "__main__":
    main()
