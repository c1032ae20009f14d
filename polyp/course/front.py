"""The README's picture: a real frame, what the bundled UNet++ sees in it, its prediction, the true mask."""

from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from polyp.data.known import find_dataset
from polyp.data.pairs import find_pairs, read_pair
from polyp.model.metrics import count_pixels, dice_score
from polyp.run.checkpoint import load_model
from polyp.run.inference import predict_probs
from polyp.run.pictures import BLUE, ORANGE, to_png
from polyp.run.regions import shown_regions

FRAME = "stalk"  # of the dataset `sample`, whose credits say where it is from


class Seen(NamedTuple):
    """What the picture shows of one frame."""

    image: np.ndarray  # uint8 RGB (H, W, 3)
    mask: np.ndarray  # bool (H, W)
    preds: np.ndarray  # bool (H, W)
    maps: dict[str, np.ndarray]  # node "i_j" -> mean of its channels, float32 (h, w)
    dice: float


def look(frame: str = FRAME) -> Seen:
    """Run the bundled model on a frame of `sample`, at its operating point."""
    (pair,) = (pair for pair in find_pairs(find_dataset("sample")) if pair.frame == frame)
    image, mask = read_pair(pair)
    model, about = load_model()
    maps: dict[str, np.ndarray] = {}
    for name, node in model.get_submodule("nodes").named_children():
        node.register_forward_hook(lambda _, __, out, name=name: maps.update({name: out[0].mean(0).numpy()}))
    probs = predict_probs(model, image, tuple(about["config"]["size"]), precision="fp32")
    preds = shown_regions(probs, about["threshold"], about["min_peak"], about["min_share"])
    both = (torch.from_numpy(part)[None, None] for part in (preds, mask > 0))
    return Seen(image, mask > 0, preds, maps, dice_score(count_pixels(*both)).item())


def front_picture() -> bytes:
    """A PNG of less than 150 kB: frame, nested grid, prediction and mask, from left to right."""
    seen = look()
    figure = Figure(figsize=(10, 3.8))
    panels = (
        ("frame", seen.image, (0.005, 0.25, 0.22, 0.5)),
        ("prediction", seen.preds, (0.775, 0.5, 0.22, 0.43)),
        ("mask", seen.mask, (0.775, 0.0, 0.22, 0.43)),
    )
    for title, picture, place in panels:
        axes = figure.add_axes(place)
        axes.imshow(picture, cmap="gray")
        axes.set_title(title, fontsize=14, pad=4)
        axes.set_axis_off()
    _grid(figure.add_axes((0.235, 0.0, 0.53, 1.0)), seen.maps)
    small = BytesIO()
    Image.open(BytesIO(to_png(figure))).convert("RGB").quantize(256).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _grid(axes: Axes, maps: dict[str, np.ndarray]) -> None:
    """The nodes of UNet++ as small maps: row i, column j, with an arrow from everything that a node reads."""
    places = {tuple(map(int, name.split("_"))): values for name, values in maps.items()}
    depth = max(i for i, _ in places)
    for (i, j), values in places.items():
        x, y = _place(i, j)
        extent = (x - 0.6, x + 0.6, y - 0.42, y + 0.42)
        axes.imshow(values, extent=extent, cmap="magma", zorder=3, aspect="auto")
        if i:
            _arrow(axes, (i, j), (i - 1, j + 1), ORANGE)
        if i < depth and not j:
            _arrow(axes, (i, j), (i + 1, j), "black")
        for k in range(j):
            _arrow(axes, (i, k), (i, j), BLUE, bend=-0.1 * (j - k - 1))
    axes.set(xlim=(-0.7, 2 * depth + 0.7), ylim=(-1.2 * depth - 0.5, 1.4))
    axes.set_axis_off()


def _place(i: int, j: int) -> tuple[float, float]:
    return i + 2 * j, -1.2 * i


def _arrow(axes: Axes, source: tuple[int, int], node: tuple[int, int], colour: str, bend: float = 0) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", _place(*node), _place(*source), arrowprops=look | {"shrinkA": 22, "shrinkB": 22})
