"""How the frames of one hospital differ from another's: light, lens, processor and border."""

from dataclasses import dataclass

FOCAL = 0.56  # focal length over the frame's height: a wide-angle lens, as colonoscopes have


@dataclass(frozen=True)
class Hospital:
    """An endoscope and its video processor.

    Args:
        light: white balance, factors of red, green and blue.
        focal: focal length over the frame's height; a longer one sees less of the bowel.
        blur: how much softer the picture is than at hospital A.
        noise: deviation of the sensor's noise, grey levels of 255.
        round_picture: whether the picture is a circle in a black frame, and no octagon.
    """

    light: tuple[float, float, float] = (1.0, 1.0, 1.0)
    focal: float = FOCAL
    blur: float = 1.0
    noise: float = 1.8
    round_picture: bool = False


HOSPITALS: dict[str, Hospital] = {
    "A": Hospital(),
    "B": Hospital(light=(0.5, 0.85, 1.2), focal=0.72, blur=1.6, noise=4.0, round_picture=True),
}
