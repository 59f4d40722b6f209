"""Train the vehicle classifier and export it for serving.

    python training/source/train.py             # the shipped model: over an hour on a core
    python training/source/train.py --dry-run   # a tiny model on drawn noise, in seconds
    python training/source/train.py --backbone residual --model-dir build/residual

Runs as it is in a SageMaker PyTorch training container (its environment variables are the
defaults) and on a laptop, on CPU or GPU. Needs a dataset staged by training/stage_data.py.

Every batch holds photos and CIFAR-100 pictures. Both are read from one hundred-way head (see
network.py): CIFAR-100 by cross-entropy over its classes, photos by the three-way likelihood of
bicycle, motorcycle and other. Views start small and end large. Validation, calibration
and the threshold use an average of the weights; the test split is never read here.

The backbone knows ImageNet already (efficientnet_lite0), or starts from nothing (residual).

Leaves model.onnx and metadata.json in --model-dir, the loss history in --output-dir.
"""

import argparse
import concurrent.futures
import copy
import dataclasses
import datetime
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# So that source.* is found, and serving.*: from the root here, beside source in a container.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
import onnxruntime
import torch
from source import augmentation, calibration
from source.data import Dataset, Row, label_positions
from source.network import (
    CLASSES,
    LABELS,
    EfficientNetLite,
    Novelty,
    ResidualNetwork,
    ServedModel,
    mirrored,
    three_way,
)
from torch import Tensor, nn
from torch.nn import functional

MODEL_NAME = "scones-vehicle-classifier"
OTHER = LABELS.index("other")
PHOTO_SIDE = 192  # pixels of the stretched photos that views are taken from
WARM_UP_STEPS = 100
COOL_DOWN = 0.5  # the last share of the steps: the learning rate falls, the views grow
# Of the input size: cheap steps first, and in equal parts of the cool-down larger ones. Validation
# found networks at their best a little under the size of their last views.
EARLY_VIEW = 5 / 7
COOL_DOWN_VIEWS = (6 / 7, 8 / 7)
CIFAR_VEHICLE_WEIGHT = 8.0  # how often a CIFAR bicycle or motorcycle is drawn, against others
CIFAR_PHOTOMETRIC = 0.15  # share of CIFAR pictures whose light and camera are changed too
EMPTY_FRAMES = 0.04  # share of photos spoiled into frames that show nothing
LABEL_SMOOTHING = 0.02
EXPORT_TOLERANCE = 1e-4  # the largest difference in probability between PyTorch and ONNX
SMALL_WEIGHTS = 1024  # fewer numbers than this stay in 32 bits
QUANTIZATION_EXAMPLES = 256  # photos of the validation split that 8-bit ranges are taken from
FAMILIAR_PHOTOS = 2000  # trained on, at most, that tell what is novel
FAMILIAR_COMPONENTS = 64


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What suits a backbone, where the command line does not say otherwise."""

    steps: int
    learning_rate: float  # at its peak
    weight_decay: float
    input_size: int  # pixels a side
    smallest_input: int


RECIPES = {
    "efficientnet_lite0": Recipe(1400, 6e-4, 0.02, 112, 64),
    "residual": Recipe(12200, 3e-3, 0.05, 64, 16),
}


@dataclasses.dataclass
class Pool:
    """What batches are drawn from, on the training device."""

    pictures: augmentation.Pictures
    labels: Tensor  # of LABELS for photos, of CIFAR-100 for CIFAR pictures
    weights: Tensor  # [n], relative chance to be drawn

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Positions of `count` pictures."""
        return torch.multinomial(self.weights, count, replacement=True, generator=generator)


@dataclasses.dataclass
class Batch:
    """Images float [n, 3, S, S], photos first; target probabilities of each kind."""

    images: Tensor
    photo_targets: Tensor
    cifar_targets: Tensor


# ---------------------------------------------------------------- what is trained on


def balanced_weights(rows: list[Row]) -> np.ndarray:
    """Each label equally often; within a label, a source as the square root of its size."""
    sizes: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.label, row.source)
        sizes[key] = sizes.get(key, 0) + 1
    label_sums = {
        label: sum(math.sqrt(size) for (of, _), size in sizes.items() if of == label)
        for label in LABELS
    }
    return np.array(
        [1 / math.sqrt(sizes[row.label, row.source]) / label_sums[row.label] for row in rows]
    )


def select_photos(dataset: Dataset, split: str, held_out: list[str]) -> list[Row]:
    return dataset.select(
        lambda row: row.is_photo and row.split == split and row.source not in held_out
    )


def photo_pool(dataset: Dataset, held_out: list[str], device: torch.device) -> Pool:
    rows = select_photos(dataset, "train", held_out)
    photos, aspects = dataset.stretched_photos(rows, PHOTO_SIDE)
    return make_pool(photos, aspects, label_positions(rows), balanced_weights(rows), device)


def cifar_pool(dataset: Dataset, device: torch.device) -> Pool:
    rows = dataset.select(lambda row: not row.is_photo and row.split == "train")
    labels = np.array([dataset.fine_labels.index(row.fine_label) for row in rows])
    weights = np.array([1.0 if row.label == "other" else CIFAR_VEHICLE_WEIGHT for row in rows])
    return make_pool(
        dataset.cifar_pictures(rows), np.ones(len(rows), np.float32), labels, weights, device
    )


def noise_pool(classes: int, device: torch.device) -> Pool:
    """Pictures of noise, for --dry-run: the mechanics without the data."""
    count, side = 64, 48
    pictures = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    ones = np.ones(count, np.float32)
    return make_pool(pictures, ones, np.arange(count) % classes, ones, device)


def make_pool(
    pictures: np.ndarray,
    aspects: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    device: torch.device,
) -> Pool:
    full = torch.from_numpy(pictures).to(device)
    half = torch.cat([functional.avg_pool2d(part.float(), 2) for part in full.split(256)])
    return Pool(
        augmentation.Pictures(full, half.to(torch.uint8), torch.from_numpy(aspects).to(device)),
        torch.from_numpy(labels).to(device),
        torch.from_numpy(weights).float().to(device),
    )


def photo_batch(
    pool: Pool, count: int, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augmented photos [count, 3, size, size] and their label probabilities [count, 3]."""
    chosen = pool.draw(count, generator)
    labels = pool.labels[chosen]
    dice = augmentation.Dice(count, generator)
    views, mask = augmentation.random_views(
        pool.pictures, chosen, size, augmentation.PHOTO_VIEWS, dice
    )
    views = augmentation.fill_surroundings(views, mask, views[labels == OTHER], dice)
    spoiled = dice.chance(EMPTY_FRAMES)
    views = augmentation.apply_where(
        spoiled, views, lambda part: augmentation.spoil(part, dice.of(len(part)))
    )
    labels = torch.where(spoiled, OTHER, labels)
    return augmentation.photometric(views, dice), functional.one_hot(labels, len(LABELS)).float()


def cifar_batch(
    pool: Pool, count: int, size: int, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augmented CIFAR pictures [count, 3, size, size] and label probabilities [count, classes]."""
    chosen = pool.draw(count, generator)
    dice = augmentation.Dice(count, generator)
    views, mask = augmentation.random_views(
        pool.pictures, chosen, size, augmentation.CIFAR_VIEWS, dice
    )
    views = augmentation.fill_surroundings(views, mask, views[:0], dice)
    views = augmentation.apply_where(
        dice.chance(CIFAR_PHOTOMETRIC),
        views,
        lambda part: augmentation.photometric(part, dice.of(len(part))),
    )
    return views, functional.one_hot(pool.labels[chosen], classes).float()


def mix(images: Tensor, targets: Tensor, dice: augmentation.Dice) -> tuple[Tensor, Tensor]:
    """Blend a tenth of the pictures with their neighbours (mixup, Zhang et al., 2018)."""
    share = torch.where(dice.chance(0.1), dice.uniform(0, 0.4), 0.0)
    images = torch.lerp(images, images.roll(1, 0), share.view(-1, 1, 1, 1))
    return images, torch.lerp(targets, targets.roll(1, 0), share.view(-1, 1))


def view_size(step: int, options: argparse.Namespace) -> int:
    """Pixels a side at this step, a multiple of 8: small views first, they cost less."""
    done = cooled_down(step, options.steps)
    share = COOL_DOWN_VIEWS[int(done * len(COOL_DOWN_VIEWS))] if done else EARLY_VIEW
    return max(16, int(options.input_size * share) // 8 * 8)


def make_batch(
    photos: Pool, cifar: Pool, step: int, options: argparse.Namespace, device: torch.device
) -> Batch:
    """The batch of this step, half photos and half CIFAR pictures: the same in every run."""
    generator = torch.Generator(device).manual_seed(options.seed * 1_000_003 + step)
    size, half = view_size(step, options), options.batch_size // 2
    photo_images, photo_targets = photo_batch(photos, half, size, generator)
    cifar_images, cifar_targets = cifar_batch(cifar, half, size, CLASSES, generator)
    dice = augmentation.Dice(half, generator)
    photo_images, photo_targets = mix(photo_images, photo_targets, dice)
    images = torch.cat([photo_images, cifar_images])
    return Batch(images.contiguous(memory_format=torch.channels_last), photo_targets, cifar_targets)


def batches(
    photos: Pool, cifar: Pool, first: int, options: argparse.Namespace, device: torch.device
) -> Iterator[tuple[int, Batch]]:
    """Steps and their batches. A thread prepares the next batch while one is trained on."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        prepared = None
        for step in range(first, options.steps):
            batch = (
                prepared.result() if prepared else make_batch(photos, cifar, step, options, device)
            )
            if step + 1 < options.steps:
                prepared = pool.submit(make_batch, photos, cifar, step + 1, options, device)
            yield step, batch


# ---------------------------------------------------------------- training


def soft_cross_entropy(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    smooth = targets * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / targets.shape[1]
    return -(smooth * log_probabilities).sum(1).mean()


def cooled_down(step: int, steps: int) -> float:
    """How much of the cool-down is done at this step: 0 before it starts, under 1 in it."""
    start = steps * (1 - COOL_DOWN)
    return max(0.0, (step - start) / (steps - start))


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm up, stay, cool down in a straight line.

    Until the cool-down it does not depend on the number of steps, so a run that was cut off can go
    on with more or fewer of them.
    """
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (1 - cooled_down(step, steps))


def make_optimizer(network: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW; no decay on biases and normalisation."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """The exponential moving average of weights and statistics, over about 1,000 steps."""
    decay = min(0.999, (step + 1) / (step + 10))
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.no_grad()
def predict(
    network: nn.Module, inputs: np.ndarray, device: torch.device
) -> tuple[np.ndarray, Tensor, Tensor]:
    """Of served inputs: three-way logits [n, 3] before any temperature, and `embed`'s features."""
    network.eval()
    parts = [
        mirrored(network, torch.from_numpy(part).to(device).float())
        for part in np.split(inputs, range(256, len(inputs), 256))
    ]
    logits, middle, embeddings = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
    return logits.numpy(), middle, embeddings


def seconds_left(step: int, first: int, steps: int, started: float) -> float:
    return (time.monotonic() - started) / (step + 1 - first) * (steps - step - 1)


def save_checkpoint(path: Path, **state: object) -> None:
    """Write whole or not at all: a spot instance may stop in the middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


@dataclasses.dataclass
class Validation:
    """Served inputs of the validation split, and their labels; and of photos trained on."""

    familiar: np.ndarray
    photos: np.ndarray
    photo_labels: np.ndarray
    cifar: np.ndarray
    cifar_labels: np.ndarray


def load_validation(dataset: Dataset, held_out: list[str], input_size: int) -> Validation:
    familiar = select_photos(dataset, "train", held_out)
    photos = select_photos(dataset, "validation", held_out)
    cifar = dataset.select(lambda row: not row.is_photo and row.split == "validation")
    return Validation(
        dataset.served_inputs(familiar[:: math.ceil(len(familiar) / FAMILIAR_PHOTOS)], input_size),
        dataset.served_inputs(photos, input_size),
        label_positions(photos),
        dataset.served_inputs(cifar, input_size),
        label_positions(cifar),
    )


def noise_validation(input_size: int) -> Validation:
    shape = (30, 3, input_size, input_size)
    pictures = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(30) % len(LABELS)
    return Validation(pictures, pictures, labels, pictures, labels)


def train(
    network: nn.Module,
    photos: Pool,
    cifar: Pool,
    validation: Validation,
    data: dict[str, object],
    options: argparse.Namespace,
    device: torch.device,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train `network` on `data`; return the average of its weights, and the history."""
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimizer = make_optimizer(network, options.weight_decay)
    history: list[dict[str, float]] = []
    first = 0
    checkpoint = options.checkpoint_dir / "checkpoint.pt"
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["arguments"] != resumable(options, data):
            raise SystemExit(f"train: {checkpoint} is of another run: delete it, or its directory")
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first, history = state["step"], state["history"]
        print(f"resumed at step={first}")

    started = time.monotonic()
    for step, batch in batches(photos, cifar, first, options, device):
        network.train()
        loss = training_loss(network, batch)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.learning_rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        update_average(average, network, step)

        last = step + 1 == options.steps
        if (step + 1) % options.report_every == 0 or last:
            entry = report(average, validation, device)
            entry |= {"step": step + 1, "train_loss": round(loss.item(), 4)}
            history.append(entry)
            left = seconds_left(step, first, options.steps, started)
            line = " ".join(f"{name}={value}" for name, value in entry.items())
            print(f"{line} minutes_left={left / 60:.1f}", flush=True)
            save_checkpoint(
                checkpoint,
                network=network.state_dict(),
                average=average.state_dict(),
                optimizer=optimizer.state_dict(),
                step=step + 1,
                history=history,
                arguments=resumable(options, data),
            )
    return average, history


def training_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Three-way likelihood of the photos plus hundred-way cross-entropy of the CIFAR pictures."""
    # A T4 only emulates bfloat16: it computes in 32 bits.
    half = batch.images.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=half):
        logits = network(batch.images)
    logits = logits.float()
    photos = len(batch.photo_targets)
    photo_loss = soft_cross_entropy(three_way(logits[:photos]).log_softmax(1), batch.photo_targets)
    cifar_loss = soft_cross_entropy(logits[photos:].log_softmax(1), batch.cifar_targets)
    return photo_loss + cifar_loss


def report(average: nn.Module, validation: Validation, device: torch.device) -> dict[str, float]:
    photo_logits, *_ = predict(average, validation.photos, device)
    cifar_logits, *_ = predict(average, validation.cifar, device)
    photo_right = photo_logits.argmax(1) == validation.photo_labels
    measured = {"validation_accuracy": round(float(photo_right.mean()), 4)}
    vehicles = validation.cifar_labels != OTHER
    if vehicles.any():
        named = cifar_logits[vehicles][:, :OTHER].argmax(1)
        right = named == validation.cifar_labels[vehicles]
        measured["validation_cifar_accuracy"] = round(float(right.mean()), 4)
    return measured


def resumable(options: argparse.Namespace, data: dict[str, object]) -> dict[str, object]:
    """The arguments, and what of the data, that a checkpoint must agree on."""
    names = ("backbone", "batch_size", "learning_rate", "weight_decay", "input_size", "seed")
    arguments = {name: getattr(options, name) for name in names}
    return arguments | {name: data.get(name) for name in ("dataset", "held_out_sources")}


# ---------------------------------------------------------------- export


def export(model: ServedModel, input_size: int, path: Path) -> None:
    """Write one ONNX file with a dynamic batch, and check it against PyTorch."""
    model.eval()
    # It warns, once an operator, that torchvision's operators are not there to be exported.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    example = torch.rand(2, 3, input_size, input_size) * 255
    path.parent.mkdir(parents=True, exist_ok=True)
    program = torch.onnx.export(
        model,
        (example,),
        input_names=["image"],
        output_names=["probabilities", "novelty"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101 dynamo=True returns one
    proto = program.model_proto
    graph = proto.graph
    # Each part carries the stack trace of its making, with the paths of this machine.
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
    path.write_bytes(proto.SerializeToString())
    images = torch.rand(3, 3, input_size, input_size) * 255
    with torch.no_grad():
        pairs = zip(model(images), predict_exported(path, images.numpy()), strict=True)
    difference = max(float(np.abs(ours.numpy() - exported).max()) for ours, exported in pairs)
    if difference > EXPORT_TOLERANCE:
        raise RuntimeError(f"{path} differs from PyTorch by {difference:.1e}")
    print(f"onnx_difference={difference:.1e}")


def store_as_half(path: Path) -> None:
    """Keep weights in 16 bits: half the file. The runtime widens them once, when it loads."""
    proto = onnx.load(path)
    for weights in list(proto.graph.initializer):
        if weights.data_type != onnx.TensorProto.FLOAT or np.prod(weights.dims) < SMALL_WEIGHTS:
            continue
        name, values = weights.name, onnx.numpy_helper.to_array(weights)
        stored = f"{name}_half"
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        widen = onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT)
        proto.graph.node.insert(0, widen)
    onnx.save(proto, path)


def quantize(path: Path, inputs: np.ndarray) -> None:
    """Turn an exported model's convolutions into 8-bit integers, with `inputs` as examples."""
    from onnxruntime import quantization  # noqa: PLC0415  (it is asked for rarely)

    class Examples(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(np.split(inputs, range(32, len(inputs), 32)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.left, None)
            return None if part is None else {"image": part.astype(np.float32)}

    with tempfile.TemporaryDirectory() as scratch:
        folded = Path(scratch) / "folded.onnx"
        quantization.quant_pre_process(path, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded, path, Examples(), per_channel=True, op_types_to_quantize=["Conv"]
        )


def predict_exported(path: Path, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, 3] and novelty [n] of served inputs, by the file that is served."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["probabilities", "novelty"], {"image": part.astype(np.float32)})
        for part in np.split(inputs, range(64, len(inputs), 64))
    ]
    probabilities, novelty = (np.concatenate(each) for each in zip(*parts, strict=True))
    return probabilities, novelty


def describe_model(
    network: nn.Module,
    probabilities: np.ndarray,
    novelty: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """metadata.json, less where data and code came from."""
    threshold = calibration.choose_threshold(calibration.coverage_curve(probabilities, labels))
    operation = calibration.operate(probabilities, labels, threshold)
    return {
        "name": MODEL_NAME,
        "version": options.model_version,
        "labels": list(LABELS),
        "input_size": options.input_size,
        "backbone": options.backbone,
        "normalisation": {
            "mean": network.get_buffer("mean").flatten().tolist(),
            "std": network.get_buffer("std").flatten().tolist(),
            "where": "inside the graph",
        },
        "temperature": round(temperature, 4),
        "threshold": threshold,
        "baseline": calibration.baseline(probabilities, novelty, labels, threshold),
        "metrics": {
            "validation": {
                "photos": len(labels),
                "accuracy": round(float((probabilities.argmax(1) == labels).mean()), 4),
                "expected_calibration_error": round(
                    calibration.expected_calibration_error(probabilities, labels), 4
                ),
                **{
                    f"at_threshold_{name}": round(getattr(operation, name), 4)
                    for name in ("coverage", "accuracy", "other_accepted")
                },
            }
        },
        "trained_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def code_commit() -> str:
    """The commit of the training code; SageMaker's containers are told it, they have no git."""
    if "CODE_COMMIT" in os.environ:
        return os.environ["CODE_COMMIT"]
    repository = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", "training/source", "serving"
        )
        return git("rev-parse", "--short", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# ---------------------------------------------------------------- command line


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def even(text: str) -> int:
    number = positive(text)
    if number % 2:
        raise argparse.ArgumentTypeError(f"{text} is not even: half are photos, half CIFAR-100's")
    return number


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    def defaults(name: str) -> str:
        return ", ".join(
            f"{getattr(recipe, name)} for {backbone}" for backbone, recipe in RECIPES.items()
        )

    environment = os.environ.get
    on_sagemaker = "SM_MODEL_DIR" in os.environ
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    places = parser.add_argument_group("places")
    places.add_argument(
        "--dataset",
        type=Path,
        default=Path(environment("SM_CHANNEL_TRAINING", "build/dataset")),
        help="staged dataset directory (default: %(default)s)",
    )
    places.add_argument(
        "--model-dir",
        type=Path,
        default=Path(environment("SM_MODEL_DIR", "build/model")),
        help="where model.onnx and metadata.json go (default: %(default)s)",
    )
    places.add_argument(
        "--output-dir",
        type=Path,
        default=Path(environment("SM_OUTPUT_DATA_DIR", "build/training")),
        help="where history.json goes (default: %(default)s)",
    )
    places.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=Path("/opt/ml/checkpoints" if on_sagemaker else "build/checkpoints"),
        help="a run that stopped goes on from here (default: %(default)s)",
    )
    schedule = parser.add_argument_group("schedule")
    schedule.add_argument("--steps", type=positive, help=f"batches (default: {defaults('steps')})")
    schedule.add_argument(
        "--batch-size", type=even, default=96, help="pictures a batch (default: %(default)s)"
    )
    schedule.add_argument(
        "--learning-rate",
        type=float,
        help=f"at its peak (default: {defaults('learning_rate')})",
    )
    schedule.add_argument("--weight-decay", type=float, help=f"default: {defaults('weight_decay')}")
    schedule.add_argument("--report-every", type=positive, default=300, help="steps (default: 300)")
    schedule.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--backbone",
        choices=RECIPES,
        default="efficientnet_lite0",
        help="efficientnet_lite0 starts from ImageNet's weights, residual from nothing "
        "(default: %(default)s)",
    )
    model.add_argument(
        "--input-size", type=int, help=f"pixels a side (default: {defaults('input_size')})"
    )
    model.add_argument(
        "--int8", action="store_true", help="8-bit convolutions: smaller and faster, less exact"
    )
    model.add_argument("--model-version", default="2.2.0", help="default: %(default)s")
    model.add_argument(
        "--threads",
        type=positive,
        default=max(1, (os.cpu_count() or 2) - 1),
        help="CPU threads for the network, beside one that prepares batches (default: %(default)s)",
    )
    trials = parser.add_argument_group("trials")
    trials.add_argument(
        "--hold-out-source",
        action="append",
        default=[],
        metavar="SOURCE",
        help="leave a photo source out, to measure generalisation with evaluate.py; repeatable",
    )
    trials.add_argument(
        "--dry-run", action="store_true", help="a tiny model on noise, in seconds; no dataset"
    )
    options = parser.parse_args(arguments)
    if options.dry_run:
        options.backbone, options.steps, options.batch_size = "residual", 4, 16
        options.input_size, options.report_every = 32, 2
    for name, value in dataclasses.asdict(RECIPES[options.backbone]).items():
        if getattr(options, name, value) is None:
            setattr(options, name, value)
    smallest = RECIPES[options.backbone].smallest_input
    if options.input_size < smallest:
        parser.error(f"--input-size must be at least {smallest} for {options.backbone}")
    return options


def load(
    options: argparse.Namespace, device: torch.device
) -> tuple[nn.Module, Pool, Pool, Validation, dict[str, object]]:
    """The network, the two pools, validation, and metadata's `data`."""
    torch.manual_seed(options.seed)
    if options.dry_run:
        network = ResidualNetwork(widths=(8, 16, 16), depths=(1, 1, 1))
        pools = noise_pool(len(LABELS), device), noise_pool(100, device)
        return network, *pools, noise_validation(options.input_size), {"dataset": "noise"}
    dataset = Dataset(options.dataset)
    unknown = set(options.hold_out_source) - {row.source for row in dataset.rows}
    if unknown:
        raise ValueError(f"{options.dataset} has no source {', '.join(sorted(unknown))}")
    dataset.check_photos("train", "validation", held_out=options.hold_out_source)
    if options.backbone == "residual":
        backbone: nn.Module = ResidualNetwork()
    else:
        backbone = EfficientNetLite()
        backbone.load_imagenet()
    data = {
        "dataset": dataset.description["version"],
        "counts": dataset.description["counts"],
        "held_out_sources": options.hold_out_source,
    }
    return (
        backbone,
        photo_pool(dataset, options.hold_out_source, device),
        cifar_pool(dataset, device),
        load_validation(dataset, options.hold_out_source, options.input_size),
        data,
    )


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    torch.set_num_threads(options.threads)
    commit = code_commit()  # before training: the tree may change while it runs
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        if options.dry_run:
            options.checkpoint_dir = Path(scratch)
        try:
            network, photos, cifar, validation, data = load(options, device)
        except (OSError, ValueError) as error:
            sys.exit(f"train: {error}")
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        print(
            f"device={device.type} photos={len(photos.labels)} cifar={len(cifar.labels)} "
            f"parameters={sum(p.numel() for p in network.parameters())}",
            flush=True,
        )
        average, history = train(network, photos, cifar, validation, data, options, device)

    average.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    logits, *_ = predict(average, validation.photos, torch.device("cpu"))
    temperature = calibration.fit_temperature(logits, validation.photo_labels)
    _, *familiar = predict(average, validation.familiar, torch.device("cpu"))
    novelty = Novelty(*familiar, FAMILIAR_COMPONENTS)
    model = options.model_dir / "model.onnx"
    export(ServedModel(average, temperature, novelty), options.input_size, model)
    if options.int8:
        quantize(model, validation.photos[:QUANTIZATION_EXAMPLES])
    store_as_half(model)
    print(f"model_bytes={model.stat().st_size}")
    metadata = describe_model(
        average,
        *predict_exported(model, validation.photos),
        validation.photo_labels,
        temperature,
        options,
    )
    metadata |= {"data": data, "code": {"commit": commit}}
    (options.model_dir / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "history.json").write_text(json.dumps(history, indent=2) + "\n")
    for name, value in metadata["metrics"]["validation"].items():
        print(f"validation_{name}={value}")
    print(f"threshold={metadata['threshold']} temperature={metadata['temperature']}")
    (options.checkpoint_dir / "checkpoint.pt").unlink(missing_ok=True)  # the next run is another
    print(f"the model is in {options.model_dir}{os.sep}")


if __name__ == "__main__":
    main()
