"""The README's picture: a synthetic frame, what the bundled UNet++ sees in it, its prediction, the mask."""

from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from polyp.data.synthetic import make_sequence
from polyp.model.metrics import count_pixels, dice_score
from polyp.run.checkpoint import load_model, shipped_model
from polyp.run.pictures import BLUE, ORANGE, to_png
from polyp.run.prediction import predict_probs

SEED, VIDEO, FRAME = 0, 1, 0  # a frame that the bundled model, trained on real ones, gets right
SIZE = (256, 256)


class Seen(NamedTuple):
    """What the picture shows of one frame."""

    image: np.ndarray  # uint8 RGB (H, W, 3)
    mask: np.ndarray  # bool (H, W)
    preds: np.ndarray  # bool (H, W)
    maps: dict[str, np.ndarray]  # node "i_j" -> mean of its channels, float32 (h, w)
    dice: float


def look(seed: int = SEED, video: int = VIDEO, frame: int = FRAME) -> Seen:
    """Draw a synthetic frame and run the bundled model on it."""
    images, masks = make_sequence(seed, video, frame + 1)
    image, mask = images[frame], masks[frame] > 0
    model, _ = load_model(shipped_model())
    maps: dict[str, np.ndarray] = {}
    for name, node in model.nodes.items():
        node.register_forward_hook(lambda _, __, out, name=name: maps.update({name: out[0].mean(0).numpy()}))
    preds = predict_probs(model, image, SIZE, precision="fp32") > 0.5
    both = (torch.from_numpy(part)[None, None] for part in (preds, mask))
    return Seen(image, mask, preds, maps, dice_score(count_pixels(*both)).item())


def front_picture() -> bytes:
    """A PNG of less than 150 kB: frame, nested grid, prediction and mask, from left to right."""
    seen = look()
    figure = Figure(figsize=(10, 3.9))
    for left, bottom, title in ((0.01, 0.27, "frame"), (0.75, 0.52, "prediction"), (0.75, 0.01, "mask")):
        axes = figure.add_axes((left, bottom, 0.24, 0.42))
        axes.set_axis_off()
        axes.set_title(title, fontsize=12, pad=3)
        axes.imshow(
            seen.image if title == "frame" else seen.preds if title == "prediction" else seen.mask,
            cmap="gray",
        )
    _grid(figure.add_axes((0.26, 0.0, 0.48, 1.0)), seen.maps)
    small = BytesIO()
    Image.open(BytesIO(to_png(figure))).convert("RGB").quantize(256).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _grid(axes: Axes, maps: dict[str, np.ndarray]) -> None:
    """The nodes of UNet++ as small maps: row i, column j, with an arrow from everything that a node reads."""
    places = {tuple(map(int, name.split("_"))): values for name, values in maps.items()}
    depth = max(i for i, _ in places)
    for (i, j), values in places.items():
        x, y = i + 2 * j, -1.1 * i
        extent = (x - 0.42, x + 0.42, y - 0.32, y + 0.32)
        axes.imshow(values, extent=extent, cmap="magma", zorder=3, aspect="auto")
        if i:
            _arrow(axes, (i, j), (i - 1, j + 1), ORANGE)
        if i < depth and not j:
            _arrow(axes, (i, j), (i + 1, j), "black")
        for k in range(j):
            _arrow(axes, (i, k), (i, j), BLUE, bend=-0.12 * (j - k - 1))
    axes.set(xlim=(-0.6, 2 * depth + 0.6), ylim=(-1.1 * depth - 0.5, 1.1))
    axes.set_axis_off()


def _arrow(axes: Axes, source: tuple[int, int], node: tuple[int, int], colour: str, bend: float = 0) -> None:
    (x, y), (to_x, to_y) = ((i + 2 * j, -1.1 * i) for i, j in (source, node))
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", (to_x, to_y), (x, y), arrowprops=look | {"shrinkA": 17, "shrinkB": 17})
