"""Colonoscopy-like video sequences with exact masks, for lessons and tests without patient data.

Each sequence is a small 3-D scene: a bent tube of mucosa with folds, polyps that grow on its wall, and a
camera with its lamp inside. Rays are marched from the camera to the first surface they meet, so a mask is
the polyp's visible surface by construction: what a fold hides or the frame cuts off is not in it, nor are
a stalk or a sliver of its foot that show beside it.
Lengths are in radii of the tube; points and directions are float32 (3, H, W).
"""

from polyp.data.synthetic.dataset import make_sequence, write_dataset
from polyp.data.synthetic.hospitals import HOSPITALS

__all__ = ["HOSPITALS", "make_sequence", "write_dataset"]
