"""What the laboratory's page loads: the bundled network for a browser, and the frames to try it on.

`write_files(folder)` writes, all of it made from what the package carries:

    network.json             sizes, operating point, levels, nodes and wires of the network
    ort.wasm.gz              ONNX Runtime, which computes
    weights.bin.gz           the numbers of all graphs below, which hold none of their own
    level_1.onnx.gz ...      the network cut at each level: uint8 `image` (1, 3, H, W) -> float32 logits
    grid.onnx.gz             the whole network with a gate for each wire (`gates`, float32 (wires,): 1 is
                             whole, 0 is cut) and an output for each node, besides all levels
    frames.json, frames/     the pictures, what the network sees of each, and the experts' masks
"""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn

import polyp
from polyp.data.images import shrink
from polyp.data.synthetic import make_sequence
from polyp.model.efficientnet import InvertedResidual
from polyp.run.engines import SHIPPED_ONNX
from polyp.run.onnxgraph import cut_at

SAMPLE = Path(polyp.__file__).parent / "data" / "sample"
LARGE = 1024  # bytes: smaller tensors stay in their graph
CREDIT = "HyperKvasir (Borgli et al. 2020), CC BY 4.0, shrunk"
FLOWER_CREDIT = (
    "flower by vultilion, flickr.com/photos/vultilion/6056698931, CC BY 2.0, as scikit-learn hands it out"
)
SYNTHETIC = "drawn by polyp.data.synthetic"
THUMBNAIL = 96  # pixels high
# Parts of real frames in which the experts outlined nothing: rows and columns.
WITHOUT_POLYP = {"fold": (slice(0, 483), slice(0, 390)), "tiny": (slice(175, 477), slice(120, 512))}


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


def write_files(folder: Path, runtime: Path) -> None:
    """Write all of it into `folder`, which is made; `runtime` is ONNX Runtime's `.wasm`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_packed(folder / "ort.wasm.gz", runtime.read_bytes())
    write_network(folder)
    write_frames(folder)


# The network ---------------------------------------------------------------------------------------------


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
        _write_packed(folder / f"{name}.onnx.gz", graph.SerializeToString())
    _write_packed(folder / "weights.bin.gz", bytes(weights.content))
    kept = ("threshold", "min_peak", "min_share", "second_look", "familiar", "licence")
    facts = {name: about[name] for name in kept} | {
        "bytes": sum((folder / name).stat().st_size for name in ("ort.wasm.gz", "weights.bin.gz")),
        "size": about["config"]["size"],
        "stride": about["stride"],
        "depth": depth,
        "levels": [
            {name: row[name] for name in ("level", "multiply_adds", "dice")} for row in about["validation"]
        ],
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


# The frames ----------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """A picture of the page: uint8 RGB (H, W, 3); its mask uint8 {0, 1} (H, W), or None where it has none."""

    name: str
    kind: str  # real, synthetic, clean or photo
    title: str
    image: np.ndarray
    mask: np.ndarray | None
    credit: str


def frames() -> Iterator[Frame]:
    """All pictures, in the order in which the page offers them."""
    sees = dict(re.findall(r"^\| `(\w+)` .*\| (.*) \|$", (SAMPLE / "CREDITS.md").read_text(), re.MULTILINE))
    images = {name: polyp.read_image(SAMPLE / "images" / f"{name}.jpg") for name in sees}
    for name, title in sees.items():
        mask = cv2.imread(str(SAMPLE / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 127
        yield Frame(name, "real", f"{name}: {title}", images[name], mask.astype(np.uint8), CREDIT)
    for number in range(3):
        (image,), (mask,) = make_sequence(seed=1, sequence=number, frames=1)
        yield Frame(
            f"synthetic_{number + 1}",
            "synthetic",
            f"a drawn frame, number {number + 1}",
            image,
            mask,
            SYNTHETIC,
        )
    for name, part in WITHOUT_POLYP.items():
        image = np.ascontiguousarray(images[name][part])
        title = f"part of the frame `{name}`, without its polyp".replace("`", '"')
        yield Frame(
            f"clean_{name}", "clean", title, image, np.zeros(image.shape[:2], np.uint8), f"{CREDIT}, cropped"
        )
    (image,), (mask,) = make_sequence(seed=1, sequence=0, frames=1, clean=True)
    yield Frame("clean_synthetic", "clean", "a drawn frame without a polyp", image, mask, SYNTHETIC)
    yield Frame(
        "flower", "photo", "a photograph of a flower", load_sample_image("flower.jpg"), None, FLOWER_CREDIT
    )


def write_frames(folder: Path) -> None:
    """Each picture as it is shown, as the network sees it, small, and its mask; `frames.json` names them."""
    (folder / "frames").mkdir(exist_ok=True)
    size = tuple(json.loads((folder / "network.json").read_text())["size"])
    rows = []
    for frame in frames():
        height, width = frame.image.shape[:2]
        small = (THUMBNAIL, round(THUMBNAIL * width / height))
        pictures = {
            "picture": (frame.image, ".jpg"),
            "seen": (shrink(frame.image, size), ".png"),
            "thumbnail": (shrink(frame.image, small), ".jpg"),
        }
        if frame.mask is not None:
            pictures["mask"] = (frame.mask * 255, ".png")
        row: dict[str, Any] = {
            "name": frame.name,
            "kind": frame.kind,
            "title": frame.title,
            "credit": frame.credit,
        }
        for use, (pixels, suffix) in pictures.items():
            row[use] = f"frames/{frame.name}_{use}{suffix}"
            _write_picture(folder / row[use], pixels)
        rows.append({"mask": None} | row | {"height": height, "width": width})
    (folder / "frames.json").write_text(json.dumps(rows, indent=1))


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, quality=95, optimize=True)


def _write_packed(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, 9, mtime=0))
