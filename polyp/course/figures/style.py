"""How a notebook shows a figure."""

from io import BytesIO

from matplotlib.figure import Figure
from PIL import Image

from polyp.run.pictures import BLUE, GREEN, LIGHT_BLUE, ORANGE, PINK, outline, show_frame, to_png

__all__ = ["BLUE", "GREEN", "LIGHT_BLUE", "ORANGE", "PINK", "encode", "outline", "show", "show_frame"]

SCALE = 2  # picture pixels for one pixel of the page: screens have had more than one for years


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with a description for those who cannot see it.

    Args:
        figure: any matplotlib figure.
        alt: what the picture shows, in a sentence or two; the finding is the text's, below it.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display  # only notebooks have it

    kind, content = encode(figure)
    width = round(100 * figure.get_figwidth())
    display({kind: content, "text/plain": alt}, metadata={kind: {"alt": alt, "width": width}}, raw=True)
    plt.close(figure)  # or the notebook would show a figure of pyplot's once more, without the description


def encode(figure: Figure, scale: float = SCALE) -> tuple[str, bytes]:
    """A figure's MIME type and bytes: JPEG where it holds photographs, else PNG.

    Args:
        scale: picture pixels for one pixel of the page, of which an inch has 100.
    """
    drawn = Image.open(BytesIO(to_png(figure, 100 * scale))).convert("RGB")
    arrays = (picture.get_array() for axes in figure.axes for picture in axes.images)
    content = BytesIO()
    if any(array is not None and array.ndim == 3 for array in arrays):
        drawn.save(content, format="JPEG", quality=82, subsampling=0, optimize=True)
        return "image/jpeg", content.getvalue()
    drawn.save(content, format="PNG", optimize=True)
    return "image/png", content.getvalue()
