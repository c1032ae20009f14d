"""Checkers of notebook 10, and the seven programs that learners suspect there.

To read a `program_...` before its case is solved spoils the game.
"""

import copy
import math
import random
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.metrics import count_pixels, iou_score
from polyp.model.network import SegmentationNetwork

# Who they are, and the trace that each of them leaves.
SUSPECTS = {
    "A": ("normalised twice", "the numbers that reach the network lie in a far too narrow range"),
    "B": ("red and blue swapped", "coloured frames suffer, while grey ones give exactly the same answer"),
    "C": ("pixels pooled over each batch", "the score follows the batches, while no mask changes"),
    "D": ("wrong threshold", "the probabilities are right, and the masks all too large or all too small"),
    "E": ("sigmoid twice", "every probability lies between 0.5 and 0.7311"),
    "F": ("frames split at random, unseeded", "videos stand on both sides, and others do at every run"),
    "G": ("network left in training mode", "the answer to a frame depends on the frames beside it"),
    "H": ("mask resized bilinearly", "masks hold values between 0 and 1, all of them along the border"),
    "I": ("augmentation left on", "the frames themselves come out mirrored or turned"),
    "J": ("learning rate too high", "the training loss jumps about or becomes NaN"),
}
CULPRITS = dict(zip(range(1, 8), "ABCDEFG", strict=True))
_solved: set[int] = set()


def program_1(model: SegmentationNetwork, images: Tensor) -> Tensor:
    """What reaches the first layer in case 1: (N, 3, H, W) in 0-255 -> float32 (N, 3, H, W)."""
    x = (images.float() - model.mean) / model.std
    return (x - model.mean) / model.std


def program_2(model: SegmentationNetwork, images: Tensor) -> Tensor:
    """Case 2's logits (N, 1, H, W) of frames (N, 3, H, W)."""
    return model(images.flip(1))[-1]


def program_3(preds: Tensor, masks: Tensor, batch_size: int) -> float:
    """Case 3's IoU of boolean predictions and masks (N, 1, H, W)."""
    batches = zip(preds.split(batch_size), masks.split(batch_size), strict=True)
    return float(np.mean([iou_score(count_pixels(*batch).pooled()).item() for batch in batches]))


def program_4(logits: Tensor) -> Tensor:
    """Case 4's masks, boolean, of logits."""
    return logits > -2.5


def program_5(logits: Tensor) -> Tensor:
    """Case 5's probabilities of logits."""
    return logits.sigmoid().sigmoid()


def program_6(frames: list[str]) -> tuple[list[str], list[str]]:
    """Case 6's training and test frames."""
    frames = random.SystemRandom().sample(list(frames), len(frames))
    count = max(1, len(frames) // 10)
    return frames[count:], frames[:count]


def program_7(model: SegmentationNetwork) -> SegmentationNetwork:
    """Case 7's network, made from a copy of `model`."""
    return copy.deepcopy(model).train()


def _suspicion(case: int, letter: str | None, clue: str) -> Verdict | None:
    """What is wrong with the accusation, or None if it is right."""
    if letter is None:
        return not_yet("nobody is accused; name a suspect by its letter, such as 'H'")
    letter = str(letter).strip().upper()
    if letter not in SUSPECTS:
        return not_yet(f"{letter!r} is not in the line-up; expected one letter, A to J")
    if letter != CULPRITS[case]:
        name, trace = SUSPECTS[letter]
        return not_yet(f"{letter} ({name}) has an alibi. Its trace: {trace}. Here: {clue}")
    return None


def _close(case: int, message: str) -> Verdict:
    _solved.add(case)
    return correct(f"case {case} is closed: {SUSPECTS[CULPRITS[case]][0]}. {message}")


def scoreboard() -> str:
    """How many of the seven cases this session has closed, and what that makes of the detective."""
    count = len(_solved)
    ranks = ["passer-by", "reader of crime novels", "constable", "sergeant"]
    ranks += ["inspector", "chief inspector", "superintendent", "the one they call when all else fails"]
    return f"{count} of 7 cases closed: {ranks[count]}"


@checker
def check_case_1(suspect: str | None, undo: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Case 1: the culprit, and a function that takes one of its steps back.

    Args:
        suspect: a letter of the line-up.
        undo: takes what `program_1` gave, mean and std, and returns what should have reached the network.
    """
    wrong = _suspicion(1, suspect, "all 256 steps of red share a range of less than a tenth")
    if wrong:
        return wrong
    for mean, std in (((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)), ((10.0, 20.0, 30.0), (2.0, 5.0, 4.0))):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
        images = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
        expected = (images.double() - mean) / std
        twice = (expected - mean) / std
        found = undo(twice.clone(), mean.double(), std.double())
        if found is None:
            return not_yet("the culprit is right; now the fix: undo returns nothing")
        if tuple(found.shape) != tuple(twice.shape):
            return not_yet(f"undo gave shape {tuple(found.shape)}; expected {tuple(twice.shape)}")
        if not torch.allclose(found.double(), expected, atol=1e-6):
            if torch.allclose(found.double(), images.double(), atol=1e-4):
                return not_yet("undo went two steps back, to 0-255; the network needs one normalisation")
            one = (0, 0, 0, 0)
            return not_yet(f"undo gave {found[one]:.4f} for {twice[one]:.4f}; expected {expected[one]:.4f}")
    return _close(1, "Better than to undo it: normalise in one place only, inside the model")


@checker
def check_case_2(suspect: str | None, load: Callable[[np.ndarray], Tensor]) -> Verdict:
    """Case 2: the culprit, and a loader that hands out what the network was trained on.

    Args:
        suspect: a letter of the line-up.
        load: takes uint8 BGR (H, W, 3), as `cv2.imread` gives it; returns a uint8 RGB tensor (3, H, W).
    """
    wrong = _suspicion(2, suspect, "on grey frames the two programs agree to the last bit")
    if wrong:
        return wrong
    for height, width in ((3, 5), (4, 2)):
        bgr = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        before = bgr.copy()
        found = load(bgr)
        if found is None:
            return not_yet("the culprit is right; now the fix: load returns nothing")
        expected = torch.from_numpy(cv2.cvtColor(before, cv2.COLOR_BGR2RGB).transpose(2, 0, 1).copy())
        if not isinstance(found, Tensor) or found.dtype != torch.uint8:
            kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
            return not_yet(f"load gave {kind}; expected a tensor of uint8 (torch.from_numpy)")
        if found.shape != expected.shape:
            return not_yet(
                f"{height} x {width} picture: got {tuple(found.shape)}; expected {tuple(expected.shape)}"
            )
        if not found.equal(expected):
            pixel, right = found[:, 0, 0].tolist(), expected[:, 0, 0].tolist()
            return not_yet(f"the first pixel, BGR {before[0, 0].tolist()}, became {pixel}; expected {right}")
        if not (bgr == before).all():
            return not_yet("load changed the caller's picture; work on a copy")
    return _close(2, "cv2.imread gives blue first; nearly everything else gives red first")


@checker
def check_case_3(suspect: str | None, honest_iou: Callable[[Tensor, Tensor], float]) -> Verdict:
    """Case 3: the culprit, and a score that does not know of batches.

    Args:
        suspect: a letter of the line-up.
        honest_iou: takes boolean predictions and masks (N, 1, H, W); returns the mean per-image IoU.
    """
    wrong = _suspicion(3, suspect, "the masks are the same in every row; only their grouping differs")
    if wrong:
        return wrong
    generator = torch.Generator().manual_seed(3)
    preds, masks = (torch.rand(5, 1, 6, 7, generator=generator) > 0.6 for _ in range(2))
    preds[1, :, 3:], masks[1, :, 1:] = False, False  # a small polyp
    cases = {"five frames": (preds, masks), "one frame": (preds[:1], masks[:1])}
    empty = preds.clone(), masks.clone()
    for tensor in empty:
        tensor[2] = False
    cases["one frame empty in both, whose IoU is undefined and left out"] = empty
    for name, (p, m) in cases.items():
        found = honest_iou(p.clone(), m.clone())
        if found is None:
            return not_yet("the culprit is right; now the fix: honest_iou returns nothing")
        p, m = p.numpy(), m.numpy()
        ious = [(a & b).sum() / (a | b).sum() for a, b in zip(p, m, strict=True) if (a | b).any()]
        if not math.isclose(float(found), float(np.mean(ious)), abs_tol=1e-5):
            pooled = (p & m).sum() / (p | m).sum()
            hint = " (that is all pixels pooled)" if math.isclose(float(found), pooled, abs_tol=1e-5) else ""
            return not_yet(f"{name}: gave {float(found):.4f}{hint}; expected {np.mean(ious):.4f}")
    return _close(3, "Counts for each image first; reduce once, at the end, and say how")


@checker
def check_case_4(suspect: str | None) -> Verdict:
    """Case 4: the culprit, a letter of the line-up."""
    clue = "the curve of the same probabilities is healthy, and the mark stands at its far left"
    return _suspicion(4, suspect, clue) or _close(4, "A logit of -2.5 is a probability of 0.076")


@checker
def check_case_5(suspect: str | None) -> Verdict:
    """Case 5: the culprit, a letter of the line-up."""
    clue = "look at the smallest and the largest number that the map can hold"
    message = "0.5 can never be a threshold there, since no probability lies below it"
    return _suspicion(5, suspect, clue) or _close(5, message)


@checker
def check_case_6(suspect: str | None, split_by_video: Callable[[dict, float, int], list]) -> Verdict:
    """Case 6: the culprit, and an honest split.

    Args:
        suspect: a letter of the line-up.
        split_by_video: takes {frame: video}, the least share of frames to test on, and a seed; returns the
            test frames: whole videos.
    """
    wrong = _suspicion(6, suspect, "count the videos on both sides, and run the drawing twice")
    if wrong:
        return wrong
    sizes = [4, 9, 6, 5, 7, 3, 8, 6, 5, 7]
    video = {f"v{number}f{k}": number for number, size in enumerate(sizes) for k in range(size)}
    drawn = []
    for share in (0.1, 0.3):
        for seed in range(8):
            np.random.seed(seed % 2)  # noqa: NPY002 - a split must not depend on it
            random.seed(seed % 2)
            found = split_by_video(dict(video), share, seed)
            if found is None:
                return not_yet("the culprit is right; now the fix: split_by_video returns nothing")
            found = list(found)
            if not set(found) <= video.keys() or len(set(found)) < len(found):
                return not_yet("the answer holds something that is no frame, or a frame twice")
            both = {video[f] for f in found} & {video[f] for f in video.keys() - set(found)}
            if both:
                return not_yet(f"seed {seed}: video {min(both)} stands on both sides")
            if not share * len(video) <= len(found) < share * len(video) + max(sizes):
                return not_yet(
                    f"seed {seed}: {len(found)} of {len(video)} frames; expected at least {share:.0%}, "
                    "and no video more than that takes"
                )
            np.random.seed(99)  # noqa: NPY002
            random.seed(99)
            if set(split_by_video(dict(video), share, seed)) != set(found):
                return not_yet(f"seed {seed} gave two different splits; all chance must follow from the seed")
            drawn.append(frozenset(found))
    if len(set(drawn[:8])) == 1:
        return not_yet("eight seeds gave one and the same split; shuffle the videos by the seed")
    return _close(6, "Whole videos, drawn by a seed; or better, written down in a file")


@checker
def check_case_7(suspect: str | None) -> Verdict:
    """Case 7: the culprit, a letter of the line-up."""
    clue = "the frame is the same, the weights are the same, and only the neighbours differ"
    return _suspicion(7, suspect, clue) or _close(7, "model.eval() before every prediction")


@checker
def check_own_case(observed: dict[str, float] | None) -> Verdict:
    """The learner's own mistakes: the Dice that each of them leaves.

    Args:
        observed: a name -> mean Dice; with "honest", at least four.
    """
    if observed is None:
        return not_yet("observed is None; make it a dictionary {name: Dice} with 'honest' and three mistakes")
    if "honest" not in observed:
        return not_yet("the entry 'honest' is missing: what does dice_of give when nothing is changed?")
    if len(observed) < 4:
        return not_yet(f"{len(observed)} entries; expected 'honest' and at least three mistakes")
    values = {name: float(value) for name, value in observed.items()}
    for name, value in values.items():
        if not 0 <= value <= 1:
            return not_yet(f"{name} has {value}; expected a Dice between 0 and 1")
    costs = {name: values["honest"] - value for name, value in values.items() if name != "honest"}
    if max(map(abs, costs.values())) < 0.001:
        return not_yet("none of them changed the Dice; is the changed frame what the network gets?")
    worst = max(costs, key=costs.get)
    return correct(f"of {len(costs)} mistakes, {worst!r} costs most: {costs[worst]:+.3f} Dice")
