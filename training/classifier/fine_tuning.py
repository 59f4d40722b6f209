"""Gentle fine-tuning of the backbone and the head, from a head that fits already.

Training from a random head distorts what ImageNet taught the backbone (Kumar et al., ICLR 2022). So
the head comes first, early layers learn at lower rates, batch normalisation keeps its statistics,
and the weights are averaged with the start (Wortsman et al., CVPR 2022).
"""

import concurrent.futures
import copy
import dataclasses
import io
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.optim._param_groups import param_groups_layer_decay
from torch import Tensor, nn
from torch.nn import functional

from training.classifier import augmentation
from training.classifier.backbone import Backbone, has_fast_half
from training.classifier.head import Head
from training.dataset.records import OTHER, Dataset, Photo

STRETCHED_SIDE = 256  # pixels of the photos that views are taken from
WARM_UP_STEPS = 50
LAYER_DECAY = 0.85  # the learning rate of a block, relative to that of the next one
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.02
EMPTY_FRAMES = 0.04  # share of photos that become frames that show nothing, of the label `other`
REPORT_EVERY = 50  # steps


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """The settings of one run."""

    steps: int = 600
    batch_size: int = 128
    view_size: int = 224  # pixels
    learning_rate: float = 3e-4  # of the head and the last block, at its peak
    average: float = 0.75  # the share of the trained weights in the average with the start
    seed: int = 1


class Classifier(nn.Module):
    """Backbone and linear head: photos [n, 3, S, S] to logits [n, k]."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight))
            self.head.bias.copy_(torch.from_numpy(head.bias))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images)[0])
        return logits


def fine_tune(
    backbone: Backbone,
    head: Head,
    dataset: Dataset,
    photos: list[Photo],
    weights: np.ndarray,
    settings: FineTuning,
    checkpoint: Path,
) -> tuple[Backbone, Head]:
    """Train on `photos`, drawn by `weights`; return the averaged network.

    An interrupted run continues from `checkpoint`; a finished run is not repeated.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Classifier(copy.deepcopy(backbone), head).to(device).eval()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no type for memory_format
    start = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=0.0, betas=(0.9, 0.99))
    first = resume(checkpoint, model, optimizer, device)
    half = device.type == "cuda" and has_fast_half(device)  # on a CPU, gradients take longer
    started, losses = time.monotonic(), []
    for step, (images, targets) in _batches(dataset, photos, weights, settings, first, device):
        for group in optimizer.param_groups:
            group["lr"] = group.get("lr_scale", 1.0) * learning_rate(step, settings)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(images.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.detach())
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == settings.steps:
            left = (time.monotonic() - started) / (step + 1 - first) * (settings.steps - step - 1)
            print(
                f"step={step + 1} train_loss={torch.stack(losses[-REPORT_EVERY:]).mean():.4f} "
                f"minutes_left={left / 60:.1f}",
                flush=True,
            )
            save(checkpoint, step + 1, model, optimizer)
    model.load_state_dict(averaged(start, model.state_dict(), settings.average))
    model.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch has no type for memory_format
    return model.backbone, Head(
        model.head.weight.detach().numpy().copy(), model.head.bias.detach().numpy().copy()
    )


def average(models: list[tuple[Backbone, Head]]) -> tuple[Backbone, Head]:
    """The mean of the weights of models with one start (Wortsman et al., ICML 2022)."""
    mean = copy.deepcopy(models[0][0])
    states = [backbone.state_dict() for backbone, _ in models]
    mean.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    heads = [head for _, head in models]
    return mean, Head(
        np.mean([head.weight for head in heads], axis=0),
        np.mean([head.bias for head in heads], axis=0),
    )


def parameter_groups(model: Classifier) -> list[dict[str, Any]]:
    """Parameters with their relative learning rates."""
    groups = param_groups_layer_decay(
        model.backbone.network, weight_decay=WEIGHT_DECAY, layer_decay=LAYER_DECAY
    )
    return [*groups, {"params": list(model.head.parameters()), "weight_decay": WEIGHT_DECAY}]


def learning_rate(step: int, settings: FineTuning) -> float:
    """Warm up in a straight line, then fall to zero along a cosine."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return settings.learning_rate * warm * (1 + math.cos(math.pi * step / settings.steps)) / 2


def averaged(start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between two models: `share` of the second."""
    return {
        name: torch.lerp(value, end[name], share) if value.is_floating_point() else end[name]
        for name, value in start.items()
    }


def _batches(
    dataset: Dataset,
    photos: list[Photo],
    weights: np.ndarray,
    settings: FineTuning,
    first: int,
    device: torch.device,
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """Steps and their batches. The next batch is prepared while one is trained on."""
    share = weights / weights.sum()

    def make(step: int) -> tuple[Tensor, Tensor]:
        draw = np.random.default_rng([settings.seed, step])
        chosen = [photos[at] for at in draw.choice(len(photos), settings.batch_size, p=share)]
        squares = list(readers.map(lambda photo: _stretched(dataset, photo), chosen))
        targets = [dataset.labels.index(photo.label) for photo in chosen]
        return make_batch(squares, targets, dataset.labels, step, settings, device)

    with (
        concurrent.futures.ThreadPoolExecutor() as readers,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        prepared = pool.submit(make, first)
        for step in range(first, settings.steps):
            batch = prepared.result()
            prepared = pool.submit(make, step + 1)
            yield step, batch


def make_batch(
    squares: list[tuple[np.ndarray, float]],
    truth: list[int],
    labels: list[str],
    step: int,
    settings: FineTuning,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Augmented photos [n, 3, S, S], pixel values 0 to 255, and their label positions [n]."""
    generator = torch.Generator(device).manual_seed(settings.seed * 1_000_003 + step)
    random = augmentation.Random(len(squares), generator)
    stretched, aspects = zip(*squares, strict=True)
    views, mask = augmentation.random_views(
        torch.from_numpy(np.stack(stretched)).to(device).float(),
        torch.tensor(aspects, device=device),
        settings.view_size,
        random,
    )
    targets = torch.tensor(truth, device=device)
    if OTHER in labels:
        other = labels.index(OTHER)
        views = augmentation.fill_surroundings(views, mask, views[targets == other], random)
        empty = random.chance(EMPTY_FRAMES)
        views = augmentation.apply_where(
            empty, views, lambda part: augmentation.empty_frames(part, random.of(len(part)))
        )
        targets = torch.where(empty, other, targets)
    else:
        views = augmentation.fill_surroundings(views, mask, views[:0], random)
    return augmentation.photometric(views, random), targets


def _stretched(dataset: Dataset, photo: Photo) -> tuple[np.ndarray, float]:
    """A photo as a square uint8 [3, C, C], and its true width over height."""
    with Image.open(io.BytesIO(dataset.image_bytes(photo))) as image:
        square = image.convert("RGB").resize((STRETCHED_SIDE, STRETCHED_SIDE))
        return np.asarray(square).transpose(2, 0, 1), image.width / image.height


def resume(
    checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> int:
    """The step that a run continues with: 0 without a checkpoint."""
    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed at step={state['step']}", flush=True)
    return int(state["step"])


def save(path: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write completely or not at all: a spot instance may stop at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, partial)
    partial.replace(path)
