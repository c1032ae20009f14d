"""How a notebook shows a figure."""

from io import BytesIO

from matplotlib.figure import Figure
from PIL import Image

from polyp.run.pictures import BLUE, GREEN, LIGHT_BLUE, ORANGE, PINK, outline, show_frame, to_png

__all__ = ["BLUE", "GREEN", "LIGHT_BLUE", "ORANGE", "PINK", "outline", "show", "show_frame", "to_png"]


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with a description for those who cannot see it.

    Args:
        figure: any matplotlib figure.
        alt: what the picture shows, in a sentence or two.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display  # only notebooks have it

    # 256 colours take a third of the room, and a notebook should stay small enough to review.
    small = BytesIO()
    Image.open(BytesIO(to_png(figure))).convert("RGB").quantize(256).save(small, format="PNG", optimize=True)
    content = {"image/png": small.getvalue(), "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)
    plt.close(figure)  # or the notebook would show a figure of pyplot's once more, without the description
