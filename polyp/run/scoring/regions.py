"""Regions and boundaries of two binary masks: what is found, and how far the outlines lie apart."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment


class Regions(NamedTuple):
    """8-connected regions: `labels`, int32 (H, W), 1 to R or 0 for none, and `areas`, pixels, int (R,)."""

    labels: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)


def regions_of(mask: np.ndarray, min_area: int) -> Regions:
    """The regions of a bool mask (H, W) of at least `min_area` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = areas >= min_area
    renamed = np.concatenate([[0], np.where(kept, kept.cumsum(), 0)]).astype(np.int32)
    return Regions(renamed[labels], areas[kept])


def overlaps(predicted: Regions, true: Regions) -> np.ndarray:
    """The IoU of each predicted region with each true one, float64 (P, R)."""
    width = len(true) + 1
    pairs = predicted.labels.ravel().astype(np.int64) * width + true.labels.ravel()
    shared = np.bincount(pairs, minlength=(len(predicted) + 1) * width).reshape(-1, width)[1:, 1:]
    return shared / (predicted.areas[:, None] + true.areas - shared)


def match_regions(predicted: Regions, true: Regions, overlap: float) -> np.ndarray:
    """Which true regions are found: paired one to one with a predicted one of at least `overlap` IoU.

    Above one half no region has two candidates (Kirillov et al., Panoptic Segmentation, CVPR 2019); below,
    as many as possible are paired.

    Returns:
        bool (R,).
    """
    found = np.zeros(len(true), bool)
    if len(predicted) and len(true):
        iou = overlaps(predicted, true)
        hits = iou >= overlap
        rows, columns = linear_sum_assignment(hits * (len(true) + iou), maximize=True)
        found[columns] = hits[rows, columns]
    return found


def boundary_distances(preds: np.ndarray, truth: np.ndarray, tolerance: float) -> tuple[float, float]:
    """How far the boundaries of two bool masks (H, W) lie apart.

    A boundary is made of the mask's pixels that have background, or the frame's end, above, below or beside.

    Returns:
        HD95 in pixels: the 95th percentile of the distances from each boundary to the other, the larger of
        the two (MONAI's `compute_hausdorff_distance(percentile=95)`); NaN if a mask is empty, where MONAI
        says infinity. And the NSD, 0 to 1: the share of both boundaries that lies within `tolerance` pixels
        of the other (Nikolov et al., arXiv:1809.04430; MONAI's `compute_surface_dice`); 0 if one mask is
        empty, NaN if both are.
    """
    if not preds.any() or not truth.any():
        return np.nan, 0.0 if preds.any() or truth.any() else np.nan
    x, y, width, height = cv2.boundingRect((preds | truth).astype(np.uint8))
    window = np.s_[y : y + height, x : x + width]
    edges = [_boundary(mask[window]) for mask in (preds, truth)]
    there, back = (_distances(a, b) for a, b in (edges, edges[::-1]))
    within = (there <= tolerance).sum() + (back <= tolerance).sum()
    hd95 = max(np.quantile(there, 0.95), np.quantile(back, 0.95))
    return float(hd95), float(within / (len(there) + len(back)))


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _boundary(mask: np.ndarray) -> np.ndarray:
    solid = mask.astype(np.uint8)
    return (solid - cv2.erode(solid, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)).astype(bool)


def _distances(of: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The distance in pixels of each pixel of one boundary to the nearest of another, float32."""
    return cv2.distanceTransform((~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[of]
