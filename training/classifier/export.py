"""Export: one ONNX file from a photo's pixels to probabilities, their reasons and novelty."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.classifier import novelty
from training.classifier.head import Head
from training.classifier.novelty import Novelty

SMALL = 1024  # tensors of fewer numbers stay in 32 bits
PREFIX = "classifier/"  # of the names of all that is added to the backbone


def export_model(
    backbone: Path, head: Head, temperature: float, familiar: Novelty, path: Path
) -> None:
    """Add the head, the temperature and the novelty to an exported backbone.

    `backbone` has the outputs `features` and `middle`. They stay outputs of the model, so a model
    is itself a backbone for the next head: an earlier head is replaced. Outputs: probabilities
    [n, k], novelty [n], features [n, d], middle [n, m], and, if `features` are the mean of a
    map, activation [n, h, w, k].
    """
    proto = onnx.load(backbone)
    graph = proto.graph
    _keep(graph.node, [node for node in graph.node if not node.name.startswith(PREFIX)])
    _keep(graph.initializer, [each for each in graph.initializer if PREFIX not in each.name])
    _keep(graph.output, [each for each in graph.output if each.name in ("features", "middle")])
    last_map = averaged_map(graph)
    nodes, arrays = head_nodes(head, temperature, last_map)
    more_nodes, more_arrays = novelty_nodes(familiar)
    graph.node.extend(nodes + more_nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), PREFIX + name)
        for name, array in (arrays | more_arrays).items()
    )
    graph.output.extend(
        [
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["batch", len(head.bias)]
            ),
            helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["batch"]),
        ]
    )
    if last_map:
        shape: list[str | int | None] = ["batch", "rows", "columns", len(head.bias)]
        graph.output.append(helper.make_tensor_value_info("activation", TensorProto.FLOAT, shape))
    store_as_half(proto)
    onnx.checker.check_model(proto)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)


def _keep(field: object, values: list[object]) -> None:
    """Replace a repeated field of a protobuf message."""
    del field[:]  # type: ignore[attr-defined]  # protobuf has no type for it
    field.extend(values)  # type: ignore[attr-defined]  # as above


class _Nodes:
    """Nodes that are named, and whose inputs are found by name."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.nodes: list[onnx.NodeProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        names = [PREFIX + name if name in self.arrays else name for name in inputs]
        name = f"{PREFIX}{len(self.nodes)}-{output}"
        self.nodes.append(helper.make_node(operator, names, [output], name, **attributes))
        return output


def averaged_map(graph: onnx.GraphProto) -> str | None:
    """The map [n, d, h, w] whose mean over its positions `features` are; None if there is none."""
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by["features"]
    while node.op_type in ("Reshape", "Flatten", "Squeeze") and node.input[0] in made_by:
        node = made_by[node.input[0]]
    return node.input[0] if node.op_type in ("ReduceMean", "GlobalAveragePool") else None


def head_nodes(
    head: Head, temperature: float, last_map: str | None
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Features to probabilities; the temperature is folded into the weights.

    The head is linear, so it says of each position of the last map how much it speaks for a label
    (class activation map: Zhou et al., CVPR 2016). Their mean, with the bias, is the logit.
    """
    arrays = {
        "weight": np.asarray(head.weight.T / np.float32(temperature)),
        "bias": np.asarray(head.bias / np.float32(temperature)),
    }
    graph = _Nodes(arrays)
    product = graph.add("MatMul", ["features", "weight"], "head_product")
    logits = graph.add("Add", [product, "bias"], "logits")
    graph.add("Softmax", [logits], "probabilities", axis=1)
    if last_map:
        positions = graph.add("Transpose", [last_map], "positions", perm=[0, 2, 3, 1])
        graph.add("MatMul", [positions, "weight"], "activation")
    return graph.nodes, arrays


def novelty_nodes(familiar: Novelty) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """What training/classifier/novelty.py computes, as a graph."""
    arrays = {
        "centre": familiar.centre,
        "components": familiar.components.T,
        "middle_centre": familiar.middle_centre,
        "whitening": familiar.whitening,
        "columns": np.array([1], np.int64),
        "tiny": scalar(1e-12),
        "zero": scalar(0),
        "one": scalar(1),
        "last": scalar(novelty.LAST_WEIGHT),
        "rest": scalar(1 - novelty.LAST_WEIGHT),
    }
    graph = _Nodes(arrays)
    add = graph.add
    distances = add("Sub", ["features", "centre"], "distances")
    inside = add("MatMul", [distances, "components"], "inside")
    explained = add("ReduceSumSquare", [inside, "columns"], "explained", keepdims=0)
    whole = add("ReduceSumSquare", [distances, "columns"], "whole", keepdims=0)
    ratio = add("Div", [explained, add("Max", [whole, "tiny"], "positive")], "ratio")
    outside = add("Clip", [add("Sub", ["one", ratio], "outside"), "zero", "one"], "unexplained")
    centred = add("Sub", ["middle", "middle_centre"], "centred")
    white = add("MatMul", [centred, "whitening"], "white")
    squares = add("Mul", [white, white], "squares")
    deviation = add("ReduceMean", [squares, "columns"], "deviation", keepdims=0)
    strange = add("Div", [deviation, add("Add", ["one", deviation], "above_one")], "strange")
    parts = [add("Mul", ["last", outside], "part_1"), add("Mul", ["rest", strange], "part_2")]
    add("Add", parts, "novelty")
    return graph.nodes, arrays


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def store_as_half(proto: onnx.ModelProto) -> None:
    """Store large weights in 16 bits: half the file. The runtime widens them when it loads."""
    for weights in list(proto.graph.initializer):
        if weights.data_type != TensorProto.FLOAT or np.prod(weights.dims) < SMALL:
            continue
        name, values = weights.name, numpy_helper.to_array(weights)
        stored = f"{name}_half"
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        prefix = PREFIX if name.startswith(PREFIX) else ""
        widen = helper.make_node(
            "Cast", [stored], [name], f"{prefix}{stored}", to=TensorProto.FLOAT
        )
        proto.graph.node.insert(0, widen)
