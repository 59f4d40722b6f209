"""Features of photos: computed once, then read from a cache."""

import concurrent.futures
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import torch
from tqdm import tqdm

from serving.preprocess import preprocess
from training.classifier.backbone import Backbone, has_fast_half
from training.dataset.records import Dataset, Photo

BATCH = 64
SAVE_EVERY = 2048  # photos: what a run that is cut off loses at most


class Network(Protocol):
    """What computes features and middle features.

    Attributes:
        digest: names the weights in the cache.
        width: the number of features.

    """

    digest: str
    width: int

    def run(self, images: np.ndarray) -> np.ndarray:
        """Both kinds side by side, float32 [n, d + m], of photos uint8 [n, 3, S, S]."""


class TorchNetwork:
    """A backbone in PyTorch, on a GPU if there is one; in 16 bits if that is faster."""

    def __init__(self, backbone: Backbone, *, exact: bool = False) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.half = not exact and has_fast_half(self.device)
        digest = hashlib.sha256(str(self.half).encode())
        for value in backbone.state_dict().values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
        self.digest = digest.hexdigest()[:12]
        self.width = int(backbone.network.num_features)
        backbone.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no type for memory_format
        self.backbone = backbone

    def run(self, images: np.ndarray) -> np.ndarray:
        """Both kinds of features, as Network says."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.half),
        ):
            photos = torch.from_numpy(images).to(self.device).float()
            outputs = self.backbone(photos.contiguous(memory_format=torch.channels_last))
        return np.concatenate([each.float().cpu().numpy() for each in outputs], axis=1)


class OnnxNetwork:
    """A backbone or a model as ONNX: its outputs `features` and `middle`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        shapes = {output.name: output.shape for output in self.session.get_outputs()}
        self.width = int(shapes["features"][1])

    def run(self, images: np.ndarray) -> np.ndarray:
        """Both kinds of features, as Network says."""
        outputs = self.session.run(["features", "middle"], {"image": images.astype(np.float32)})
        return np.concatenate(outputs, axis=1)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probabilities [n, k] of photos uint8 [n, 3, S, S]."""
        [probabilities] = self.session.run(["probabilities"], {"image": images.astype(np.float32)})
        return np.asarray(probabilities)


def read_images(dataset: Dataset, photos: list[Photo], input_size: int) -> np.ndarray:
    """Photos as the served model gets them: uint8 [n, 3, S, S]."""
    images = np.empty((len(photos), 3, input_size, input_size), np.uint8)

    def read(at: int) -> None:
        images[at] = preprocess(dataset.image_bytes(photos[at]), input_size)[0]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in pool.map(read, range(len(photos))):
            pass
    return images


def compute(
    network: Network, dataset: Dataset, photos: list[Photo], input_size: int, cache: Path
) -> np.ndarray:
    """Features of photos [n, d + m], float32. What the cache has is not computed again."""
    path = cache / f"features-{network.digest}-{input_size}.npz"
    known: dict[str, np.ndarray] = {}
    if path.is_file():
        with np.load(path) as stored:
            known = dict(zip(stored["ids"].tolist(), stored["features"], strict=True))
    missing = [photo for photo in photos if photo.id not in known]
    with tqdm(total=len(missing), desc="features", unit="photo", disable=None) as progress:
        for part in batches(missing, SAVE_EVERY):
            for batch in batches(part, BATCH):
                rows = network.run(read_images(dataset, batch, input_size))
                known |= {photo.id: row for photo, row in zip(batch, rows, strict=True)}
                progress.update(len(batch))
            _save(path, known)
    return np.stack([known[photo.id] for photo in photos])


def batches(photos: list[Photo], size: int) -> Iterator[list[Photo]]:
    for start in range(0, len(photos), size):
        yield photos[start : start + size]


def _save(path: Path, known: dict[str, np.ndarray]) -> None:
    """Write the cache completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, ids=np.array(list(known)), features=np.stack(list(known.values())))
    partial.replace(path)
