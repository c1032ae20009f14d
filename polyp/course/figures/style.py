"""Colours, and how a figure is shown or saved."""

from io import BytesIO

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
LIGHT_BLUE = "#56B4E9"  # of the same palette, for outlines: frames are dark


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with a description for those who cannot see it.

    Args:
        figure: any matplotlib figure.
        alt: what the picture shows, in a sentence or two.
    """
    from IPython.display import display  # only notebooks have it

    # 256 colours take a third of the room, and a notebook should stay small enough to review.
    small = BytesIO()
    Image.open(BytesIO(to_png(figure))).convert("RGB").quantize(256).save(small, format="PNG", optimize=True)
    content = {"image/png": small.getvalue(), "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)


def outline(axes, mask: np.ndarray, colour: str, style: str = "-", width: float = 1.8) -> None:
    """Draw the border of a (H, W) mask of 0 and 1 over what `axes` shows; nothing for an even mask."""
    mask = mask.astype(np.uint8)
    if mask.min() != mask.max():
        axes.contour(mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=width)


def show_frame(axes, image: torch.Tensor) -> None:
    axes.imshow(image.permute(1, 2, 0).numpy())  # (3, H, W) -> (H, W, 3)
    axes.set_axis_off()
