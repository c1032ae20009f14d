"""The network as a browser runs it: a graph for each level, one with gates, their weights, and its facts."""

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import polyp
from polyp.model.efficientnet import InvertedResidual
from polyp.run.engines import SHIPPED_ONNX
from polyp.run.onnxgraph import cut_at

LARGE = 1024  # bytes: smaller tensors stay in their graph


class Wire(NamedTuple):
    """A connection of the grid, from node X[i][j] to another."""

    source: tuple[int, int]
    target: tuple[int, int]


def nodes(depth: int) -> list[tuple[int, int]]:
    """All nodes (i, j), in the order in which `NestedGrid` computes them."""
    return [(d - j, j) for d in range(depth + 1) for j in range(d + 1)]


def wires(depth: int) -> list[Wire]:
    """All connections, by the node they lead to, each node's in the order in which it reads them."""
    found = []
    for i, j in nodes(depth):
        if j:
            found += [Wire((i, k), (i, j)) for k in range(j)] + [Wire((i + 1, j - 1), (i, j))]
        elif i:
            found.append(Wire((i - 1, 0), (i, 0)))
    return found


def write_packed(path: Path, content: bytes) -> None:
    """Write a file by gzip, the same bytes each time."""
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def write_network(folder: Path) -> None:
    """The graphs, their weights, and what the page has to know of them."""
    content = SHIPPED_ONNX.read_bytes()
    about = json.loads(onnx.load_from_string(content).metadata_props[0].value)
    depth = len(about["levels"])
    graphs = {name: onnx.load_from_string(cut_at(content, name)) for name in about["levels"]}
    graphs["grid"], shapes = with_gates(onnx.load_from_string(content), depth)
    model, _ = polyp.load_model()
    weights = Weights()
    for name, graph in graphs.items():
        weights.take_from(graph)
        write_packed(folder / f"{name}.onnx.gz", graph.SerializeToString())
    write_packed(folder / "weights.bin.gz", bytes(weights.content))
    kept = ("threshold", "min_peak", "min_share", "second_look", "familiar")
    facts = {name: about[name] for name in kept} | {
        "bytes": sum((folder / name).stat().st_size for name in ("ort.wasm.gz", "weights.bin.gz")),
        "size": about["config"]["size"],
        "depth": depth,
        "levels": [{name: row[name] for name in ("level", "multiply_adds")} for row in about["validation"]],
        "nodes": [
            {"i": i, "j": j, "channels": shapes[i, j], "reads": read_by(model.nodes[f"{i}_{j}"])._asdict()}
            for i, j in nodes(depth)
        ],
        "wires": [wire._asdict() for wire in wires(depth)],
    }
    (folder / "network.json").write_text(json.dumps(facts))


class Read(NamedTuple):
    """What a convolution reads: for the cells a to b, a stride - before to b stride - before + kernel - 1."""

    kernel: int
    stride: int
    before: int  # cells of padding above and left


def read_by(module: nn.Module) -> Read:
    """The one convolution that reads as far as all of a module's, one after the other, do together."""
    if isinstance(module, nn.Conv2d):
        return Read(module.kernel_size[0], module.stride[0], int(module.padding[0]))
    if isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):
        return Read(1, 1, 0)
    if not isinstance(module, nn.Sequential | InvertedResidual):
        raise TypeError(f"what {type(module).__name__} reads is not known here")
    together = Read(1, 1, 0)  # what a block's shortcut reads lies within what its convolutions read
    for part in module.children():
        kernel, stride, before = read_by(part)
        together = Read(
            together.kernel + (kernel - 1) * together.stride,
            together.stride * stride,
            together.before + before * together.stride,
        )
    margin = getattr(module, "margin", None)  # a ConvNorm with a stride pads by itself, first on the left
    return together._replace(before=together.before + margin[0]) if margin else together


class Weights:
    """The numbers of several graphs in one block of bytes; what two graphs share stands there once."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.places: dict[bytes, int] = {}

    def take_from(self, graph: onnx.ModelProto) -> None:
        """Move a graph's large tensors into `content`, and leave their places; drop what it does not use."""
        used = {name for node in graph.graph.node for name in node.input}
        kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
        for tensor in kept:
            numbers = numpy_helper.to_array(tensor).tobytes()
            if len(numbers) >= LARGE:
                self._move(tensor, numbers)
        del graph.graph.initializer[:]
        graph.graph.initializer.extend(kept)

    def _move(self, tensor: TensorProto, numbers: bytes) -> None:
        if numbers not in self.places:
            self.places[numbers] = len(self.content)
            self.content += numbers + bytes(-len(numbers) % 16)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": "weights.bin", "offset": self.places[numbers], "length": len(numbers)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))


def with_gates(graph: onnx.ModelProto, depth: int) -> tuple[onnx.ModelProto, dict[tuple[int, int], int]]:
    """Put a gate into each wire of an exported UNet++, and make each node an output `X_i_j`.

    What is read by a node of the decoder goes through a `Concat`, one for each, in the order of computation;
    its inputs stand in the order of `wires`. A gate is one number of `gates` that multiplies.

    Returns:
        the graph, and the channels of each node.
    """
    inner = graph.graph
    joins = [node for node in inner.node if node.op_type == "Concat"]
    decoder = [(i, j) for i, j in nodes(depth) if j]
    assert len(joins) == len(decoder), "a Concat per node of the decoder"
    tensors = _node_tensors(inner, dict(zip(decoder, joins, strict=True)), depth)
    gate = {wire: number for number, wire in enumerate(wires(depth))}
    new: dict[str, list[onnx.NodeProto]] = {}  # what comes before the node with that output

    def gated(reader: onnx.NodeProto, slot: int, wire: Wire) -> None:
        name = f"gate_{gate[wire]}"
        new.setdefault(reader.output[0], []).extend(
            [
                helper.make_node("Gather", ["gates", f"{name}_index"], [f"{name}_value"]),
                helper.make_node("Mul", [reader.input[slot], f"{name}_value"], [f"{name}_out"]),
            ]
        )
        inner.initializer.append(numpy_helper.from_array(np.array(gate[wire]), f"{name}_index"))
        reader.input[slot] = f"{name}_out"

    for (i, j), join in zip(decoder, joins, strict=True):
        for slot, wire in enumerate(wire for wire in wires(depth) if wire.target == (i, j)):
            gated(join, slot, wire)
    for i in range(1, depth + 1):
        source = tensors[i - 1, 0]
        for reader in inner.node:  # the encoder's next stage reads by convolutions alone
            if reader.op_type == "Conv" and reader.input[0] == source:
                gated(reader, 0, Wire((i - 1, 0), (i, 0)))
    ordered = [one for node in inner.node for one in (*new.get(node.output[0], ()), node)]
    inner.input.append(helper.make_tensor_value_info("gates", TensorProto.FLOAT, [len(gate)]))
    for (i, j), tensor in tensors.items():
        ordered.append(helper.make_node("Identity", [tensor], [f"X_{i}_{j}"]))
        inner.output.append(helper.make_tensor_value_info(f"X_{i}_{j}", TensorProto.FLOAT, None))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del inner.node[:]
    inner.node.extend(copies)
    return graph, _channels(graph, tensors)


def _node_tensors(inner: Any, joins: dict[tuple[int, int], onnx.NodeProto], depth: int) -> dict:
    """The name of each node's output: what later nodes read, or, in the last column, what its head reads."""
    makers = {name: node for node in inner.node for name in node.output}
    found = {}
    for (i, j), join in joins.items():
        below = makers[join.input[-1]]  # the Resize of X[i + 1][j - 1]
        found[i + 1, j - 1] = below.input[0]
        for k in range(j):
            found[i, k] = join.input[k]
    head = makers[makers[inner.output[-1].name].input[0]]  # the last output is an enlarged convolution
    found[0, depth] = head.input[0]
    return {node: found[node] for node in nodes(depth)}


def _channels(graph: onnx.ModelProto, tensors: dict[tuple[int, int], str]) -> dict[tuple[int, int], int]:
    shapes = {
        value.name: value.type.tensor_type.shape.dim
        for value in onnx.shape_inference.infer_shapes(graph).graph.value_info
    }
    return {node: shapes[name][1].dim_value for node, name in tensors.items()}
