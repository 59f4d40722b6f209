"""The network, its three-way reading, and the graph that is served.

The head has CIFAR-100's hundred classes and a few unnamed ones. Photos are judged from the same
head: bicycle and motorcycle by their own probability, `other` by the sum of all the rest. So
CIFAR's hundred classes teach the features, and everything that is no two-wheeler has a home.
"""

import torch
from torch import Tensor, nn

LABELS = ("bicycle", "motorcycle", "other")
CIFAR_CLASSES = 100
UNNAMED_CLASSES = 4  # room for what CIFAR-100 has no class for: faces, rooms, documents
BICYCLE, MOTORCYCLE = 8, 48  # positions among CIFAR-100's fine labels
REST = [at for at in range(CIFAR_CLASSES + UNNAMED_CLASSES) if at not in (BICYCLE, MOTORCYCLE)]

# Mean and standard deviation of natural photos, per channel, of pixel values 0 to 255.
MEAN = (124.0, 116.0, 104.0)
STD = (59.0, 57.0, 58.0)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al., 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3)
        nn.init.zeros_(self.second.get_parameter("1.weight"))  # starts as its shortcut alone
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride)

    def forward(self, images: Tensor) -> Tensor:
        residual = self.second(torch.relu(self.first(images)))
        return torch.relu(residual + self.shortcut(images))


class VehicleNetwork(nn.Module):
    """A small residual network: images [n, 3, S, S], pixel values 0 to 255, to logits [n, 104].

    Pools by mean and by maximum, so that a small vehicle in a wide street still counts.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, widths: tuple[int, ...] = (48, 96, 192), depths: tuple[int, ...] = (1, 2, 2)
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.stem = ConvNorm(3, 32, 3, stride=2)
        blocks = []
        inputs = 32
        for width, depth in zip(widths, depths, strict=True):
            for at in range(depth):
                blocks.append(ResidualBlock(inputs, width, stride=2 if at == 0 else 1))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(2 * inputs, CIFAR_CLASSES + UNNAMED_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.stem((images - self.mean) / self.std))
        features = self.blocks(features)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return self.head(pooled)


def three_way(logits: Tensor) -> Tensor:
    """Logits of bicycle, motorcycle and other [n, 3] from those of all classes.

    Their softmax gives each vehicle its own probability and `other` the sum of the rest.
    """
    rest = torch.logsumexp(logits[:, REST], dim=1)
    return torch.stack([logits[:, BICYCLE], logits[:, MOTORCYCLE], rest], dim=1)


def mirrored_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Three-way log-probabilities [n, 3], averaged over the images and their mirror images."""
    views = [three_way(network(view)).log_softmax(1) for view in (images, images.flip(3))]
    return (views[0] + views[1]) / 2


class ServedModel(nn.Module):
    """What is exported: pixel values in, calibrated probabilities of LABELS out."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(mirrored_logits(self.network, image) / self.temperature, dim=1)
