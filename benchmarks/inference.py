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
import torch
from torch import Tensor, nn

from benchmarks.serving_app import as_sent
from serving.preprocess import preprocess
from training.evaluate import Model

REPOSITORY = Path(__file__).resolve().parents[1]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, and a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.residual = nn.Sequential(
            *conv_norm(inputs, width, 1),
            nn.ReLU(),
            *conv_norm(width, width, 3, stride),
            nn.ReLU(),
            *conv_norm(width, outputs, 1),
        )
        changed = inputs != outputs or stride != 1
        self.shortcut = (
            nn.Sequential(*conv_norm(inputs, outputs, 1, stride)) if changed else nn.Identity()
        )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.residual(images) + self.shortcut(images))


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def resnet_152() -> nn.Module:
    layers = [*conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 8), (256, 36), (512, 3)):
        for at in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if at == 0 and width > 64 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 2))


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
        theirs = exported(resnet_152(), 224, path)
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
