"""Compare the shipped model with the ResNet-152 of the student projects: bytes to answer.

    make .venv-training/training && .venv-training/bin/python -m benchmarks.inference

One photo as the workflow sends it, decoded, resized and inferred by ONNX Runtime on one thread.
The two take turns, so that a busy machine slows both. ResNet-152 (He et al., 2015) has random
weights, which takes as long as trained ones, and ImageNet's 224 pixels.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from torch import nn

from benchmarks.serving_app import as_sent
from serving.preprocess import preprocess
from training.evaluate import Model

REPOSITORY = Path(__file__).resolve().parents[1]


def exported(network: nn.Module, size: int, path: Path) -> onnxruntime.InferenceSession:
    torch.onnx.export(
        network.eval(), (torch.rand(1, 3, size, size),), path, dynamo=True, verbose=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the shipped model with ResNet-152.")
    parser.add_argument(
        "--photo", type=Path, default=REPOSITORY / "local/photos/bicycle-courier.jpg"
    )
    parser.add_argument("--model-dir", type=Path, default=REPOSITORY / "models" / "vehicles")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    photo = as_sent(arguments.photo)
    ours = Model(arguments.model_dir)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "resnet152.onnx"
        theirs = exported(timm.create_model("resnet152", num_classes=2), 224, path)
        megabytes = sum(file.stat().st_size for file in Path(scratch).iterdir()) / 1e6
    seconds: dict[str, list[float]] = {"ours": [], "ResNet-152": []}
    for _ in range(arguments.rounds):
        for name, session, size in (
            ("ours", ours.session, ours.metadata["input_size"]),
            ("ResNet-152", theirs, 224),
        ):
            started = time.process_time()
            session.run(None, {session.get_inputs()[0].name: preprocess(photo, size)})
            seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(of) for name, of in seconds.items()}
    print(f"model file: {ours.path.stat().st_size / 1e6:.1f} MB, ResNet-152 {megabytes:.0f} MB")
    for name, median in medians.items():
        print(f"{name}: {1000 * median:.1f} ms of processor time a photo (median)")
    ratios = np.array(seconds["ResNet-152"]) / np.array(seconds["ours"])
    low, high = np.quantile(ratios, [0.05, 0.95])
    print(f"ratio: {np.median(ratios):.1f} (5% to 95% of rounds: {low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
