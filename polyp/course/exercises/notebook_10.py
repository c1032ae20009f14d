"""Checkers of notebook 10, and the seven programs that learners suspect there.

To read a `program_...` before its case is solved spoils the game.
"""

import copy
import random
from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, noted, read
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


def _accuse(case: int, letter: str | None, clue: str) -> None:
    """NotYet unless the letter is that of the culprit; the clue is for whoever accuses another."""
    if letter is None:
        raise NotYet("nobody is accused; name a suspect by its letter, such as 'H'")
    letter = str(letter).strip().upper()
    if letter not in SUSPECTS:
        raise NotYet(f"{letter!r} is not in the line-up; expected one letter, A to J")
    if letter != CULPRITS[case]:
        name, trace = SUSPECTS[letter]
        raise NotYet(f"{letter} ({name}) has an alibi. Its trace: {trace}. Here: {clue}")


def _close(case: int, moral: str) -> Verdict:
    _solved.add(case)
    return correct(f"case {case} is closed: {SUSPECTS[CULPRITS[case]][0]}. {moral}")


def scoreboard() -> str:
    """How many of the seven cases this session has closed, and what that makes of the detective."""
    count = len(_solved)
    ranks = ["passer-by", "reader of crime novels", "constable", "sergeant"]
    ranks += ["inspector", "chief inspector", "superintendent", "the one they call when all else fails"]
    return f"{count} of 7 cases closed: {ranks[count]}"


@checker
def check_case_1(suspect: str | None, undo: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """`undo(x, mean, std)` turns what `program_1` gave into what should have reached the network."""
    _accuse(1, suspect, "all 256 steps of red share a range of less than a tenth")
    images = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0)).double()
    cases = {}
    for numbers in ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)), ((10.0, 20.0, 30.0), (2.0, 5.0, 4.0)):
        mean, std = (torch.tensor(n, dtype=torch.float64).view(1, 3, 1, 1) for n in numbers)
        cases["mean {}, std {}".format(*numbers)] = ((images - mean) / std - mean) / std, mean, std
    compare(
        undo,
        cases,
        lambda x, mean, std: (images - mean) / std,
        nothing="the culprit is right; now the fix: undo returns nothing",
        close=1e-6,
        hints={"two steps back, to 0-255; the network needs one normalisation": lambda *args: images},
    )
    return _close(1, "Better than to undo it: normalise in one place only, inside the model")


@checker
def check_case_2(suspect: str | None, load: Callable[[np.ndarray], Tensor]) -> Verdict:
    """`load(bgr)` makes of uint8 BGR (H, W, 3), as `cv2.imread` gives it, a uint8 RGB tensor (3, H, W)."""
    _accuse(2, suspect, "on grey frames the two programs agree to the last bit")
    rng, sizes = np.random.default_rng(2), ((3, 5), (4, 2))
    compare(
        load,
        {f"{h} x {w} picture": rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes},
        lambda bgr: torch.from_numpy(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)).permute(2, 0, 1),
        nothing="the culprit is right; now the fix: load returns nothing",
        hints={
            "blue still comes first": lambda bgr: torch.from_numpy(bgr).permute(2, 0, 1),
            "in a tensor the channels come first": lambda bgr: torch.from_numpy(bgr[..., ::-1].copy()),
        },
    )
    return _close(2, "cv2.imread gives blue first; nearly everything else gives red first")


@checker
def check_case_3(suspect: str | None, honest_iou: Callable[[Tensor, Tensor], float]) -> Verdict:
    """`honest_iou(preds, masks)` is the mean per-image IoU of boolean tensors (N, 1, H, W)."""
    _accuse(3, suspect, "the masks are the same in every row; only their grouping differs")
    preds, masks = torch.rand(2, 5, 1, 6, 7, generator=torch.Generator().manual_seed(3)) > 0.6
    preds[1, :, 3:], masks[1, :, 1:] = False, False  # a small polyp
    some = torch.ones(5, 1, 1, 1, dtype=torch.bool)
    some[2] = False
    cases = {
        "five frames": (preds, masks),
        "one frame": (preds[:1], masks[:1]),
        "one frame empty in both, whose IoU is undefined and left out": (preds & some, masks & some),
    }
    compare(
        honest_iou,
        cases,
        lambda *tensors: np.nanmean([_iou(*pair) for pair in zip(*tensors, strict=True)]),
        nothing="the culprit is right; now the fix: honest_iou returns nothing",
        close=1e-5,
        hints={"that is all pixels pooled": _iou},
    )
    return _close(3, "Counts for each image first; reduce once, at the end, and say how")


def _iou(pred: Tensor, mask: Tensor) -> float:
    return ((pred & mask).sum() / (pred | mask).sum()).item()  # NaN where both are empty


@checker
def check_case_4(suspect: str | None) -> Verdict:
    """Only the culprit is asked for."""
    _accuse(4, suspect, "the curve of the same probabilities is healthy, and the mark stands at its far left")
    return _close(4, "A logit of -2.5 is a probability of 0.076")


@checker
def check_case_5(suspect: str | None) -> Verdict:
    """Only the culprit is asked for."""
    _accuse(5, suspect, "look at the smallest and the largest number that the map can hold")
    return _close(5, "0.5 can never be a threshold there, since no probability lies below it")


@checker
def check_case_6(suspect: str | None, split_by_video: Callable[[dict, float, int], list]) -> Verdict:
    """`split_by_video(video, share, seed)` is the list of test frames: whole videos, at least a share.

    `video` is a dictionary from each frame to its video.
    """
    _accuse(6, suspect, "count the videos on both sides, and run the drawing twice")
    sizes = [4, 9, 6, 5, 7, 3, 8, 6, 5, 7]
    video = {f"v{number}f{k}": number for number, size in enumerate(sizes) for k in range(size)}
    for share in (0.1, 0.3):
        draws = [_draw(split_by_video, video, share, seed) for seed in range(8)]
        if draws != [_draw(split_by_video, video, share, seed, state=99) for seed in range(8)]:
            raise NotYet("a seed gave two different splits; all chance must follow from the seed")
        if len(set(draws)) == 1:
            raise NotYet("eight seeds gave one and the same split; shuffle the videos by the seed")
        for seed, test in enumerate(draws):
            if both := {video[frame] for frame in test} & {video[frame] for frame in video.keys() - test}:
                raise NotYet(f"seed {seed}: video {min(both)} is on both sides")
            if not share * len(video) <= len(test) < share * len(video) + max(sizes):
                raise NotYet(
                    f"seed {seed}: {len(test)} of {len(video)} frames; expected at least {share:.0%}, "
                    "and no video more than that takes"
                )
    return _close(6, "Whole videos, drawn by a seed; or better, written down in a file")


def _draw(
    split_by_video: Callable, video: dict[str, int], share: float, seed: int, state=0
) -> frozenset[str]:
    """The learner's test frames, while the global generators, which must not matter, are in some state."""
    np.random.seed(state)  # noqa: NPY002
    random.seed(state)
    nothing = "the culprit is right; now the fix: split_by_video returns nothing"
    answer = ask(split_by_video, video, share, seed, case=f"share {share}, seed {seed}", nothing=nothing)
    frames = read(Counter, answer, "a list of frames")
    if frames - Counter(video.keys()):
        raise NotYet("the answer holds something that is no frame, or a frame twice")
    return frozenset(frames)


@checker
def check_case_7(suspect: str | None) -> Verdict:
    """Only the culprit is asked for."""
    _accuse(7, suspect, "the frame is the same, the weights are the same, and only the neighbours differ")
    return _close(7, "model.eval() before every prediction")


@checker
def check_own_case(observed: dict[str, float] | None) -> Verdict:
    """Exercise 8: the Dice that "honest" and at least three mistakes of the learner's own leave."""
    nothing = "observed is None; make it a dictionary {name: Dice} with 'honest' and three mistakes"
    found = noted(observed, nothing=nothing)
    if "honest" not in found:
        raise NotYet("the entry 'honest' is missing: what does dice_of give when nothing is changed?")
    if len(found) < 4:
        raise NotYet(f"{len(found)} entries; expected 'honest' and at least three mistakes")
    costs = {name: found["honest"] - dice for name, dice in found.items() if name != "honest"}
    if max(map(abs, costs.values())) < 0.001:
        raise NotYet("none of them changed the Dice; is the changed frame what the network gets?")
    worst = max(costs, key=lambda name: costs[name])
    return correct(f"of {len(costs)} mistakes, {worst!r} costs most: {costs[worst]:+.3f} Dice")
