import random

import numpy as np
import torch

from polyp.course.exercises.notebook_10 import (
    check_case_1,
    check_case_2,
    check_case_3,
    check_case_4,
    check_case_5,
    check_case_6,
    check_case_7,
    check_own_case,
)

ACCUSED = "nobody is accused; name a suspect"


def load(flip=True, channels_first=True, change=lambda picture: picture, turn=torch.from_numpy):
    def load_picture(bgr):
        rgb = change(bgr[..., ::-1] if flip else bgr).copy()
        return turn(rgb.transpose(2, 0, 1) if channels_first else rgb)

    return load_picture


def flip_in_place(bgr):
    bgr[:] = bgr[..., ::-1].copy()
    return torch.from_numpy(bgr).permute(2, 0, 1)


def iou(reduce=torch.nanmean, empty=float("nan"), dim=(1, 2, 3)):
    def mean_iou(preds, masks):
        both = (preds & masks).sum(dim=dim)
        return reduce((both / (preds | masks).sum(dim=dim)).nan_to_num(empty)).item()

    return mean_iou


def split(generator=np.random.default_rng, most=lambda share: share, skip=0, parts=1, twice=1):
    """Whole videos, drawn by a seed, with and without the usual slips."""

    def split_by_video(video, share, seed):
        order = generator(seed).permutation(sorted(set(video.values())))
        test = []
        for number in order:
            if len(test) >= most(share) * len(video):
                break
            test += [frame for frame in video if video[frame] == number][::parts]
        return test[skip:] * twice

    return split_by_video


def by_frame(video, share, seed):
    frames = random.Random(seed).sample(sorted(video), len(video))
    return frames[: round(share * len(video))]


def by_global_state(video, share, seed):
    return split(lambda seed: np.random)(video, share, seed)


DICES = {"honest": 0.9, "dark": 0.8, "blurred": 0.85}

WRONG = {
    check_case_1: [
        (ACCUSED, None, None),
        ("'Z' is not in the line-up; expected one letter, A to J", "Z", None),
        ("B (red and blue swapped) has an alibi. Its trace: coloured frames suffer", "b", None),
        ("Here: all 256 steps of red share a range of less than a tenth", "B", None),
        ("the culprit is right; now the fix: undo returns nothing", "A", lambda x, mean, std: None),
        ("a function is expected here, not None", " a ", None),
        ("two steps back, to 0-255", "A", lambda x, mean, std: (x * std + mean) * std + mean),
        ("at (0, 0, 0, 0) you return", "A", lambda x, mean, std: x * std - mean),
        ("at (0, 0, 0, 0) you return", "A", lambda x, mean, std: (x + mean) * std),
        ("mean (10.0, 20.0, 30.0), std (2.0, 5.0, 4.0): at", "A", lambda x, mean, std: x * std + mean[:, :1]),
        ("you return a tensor (3, 4, 5) of float64", "A", lambda x, mean, std: (x * std + mean)[0]),
    ],
    check_case_2: [
        (ACCUSED, None, None),
        ("Here: on grey frames the two programs agree", "A", None),
        ("the culprit is right; now the fix: load returns nothing", "B", lambda bgr: None),
        ("3 x 5 picture: at (0, 0, 0) you return", "B", load(flip=False)),
        ("blue still comes first", "B", load(flip=False)),
        ("in a tensor the channels come first", "B", load(channels_first=False)),
        ("expected a tensor (3, 3, 5) of uint8", "B", load(turn=lambda rgb: torch.from_numpy(rgb) / 255)),
        ("expected a tensor (3, 3, 5) of uint8", "B", load(turn=lambda rgb: rgb)),
        ("at (0, 0, 0) you return", "B", load(change=lambda picture: picture[::-1])),
        ("your code stopped with ValueError", "B", lambda bgr: torch.from_numpy(bgr[..., ::-1])),
        ("your function changed what it was given", "B", flip_in_place),
    ],
    check_case_3: [
        (ACCUSED, None, None),
        ("Here: the masks are the same in every row", "G", None),
        ("the culprit is right; now the fix: honest_iou returns nothing", "C", lambda preds, masks: None),
        ("that is all pixels pooled", "C", iou(dim=(0, 1, 2, 3))),
        ("one frame empty in both, whose IoU is undefined and left out: you return", "C", iou(empty=0.0)),
        ("one frame empty in both, whose IoU is undefined and left out: you return", "C", iou(empty=1.0)),
        ("one frame empty in both", "C", iou(reduce=torch.mean)),
        (
            "five frames: you return a tensor (5,) of float32",
            "C",
            lambda p, m: (p & m).flatten(1).float().mean(dim=1),
        ),
    ],
    check_case_4: [
        (ACCUSED, None),
        ("Here: the curve of the same probabilities is healthy", "E"),
    ],
    check_case_5: [
        (ACCUSED, None),
        ("Here: look at the smallest and the largest number", "D"),
    ],
    check_case_6: [
        (ACCUSED, None, None),
        ("Here: count the videos on both sides", "C", None),
        ("the culprit is right; now the fix: split_by_video returns nothing", "F", lambda *args: None),
        ("you give 3, expected a list of frames", "F", lambda *args: 3),
        ("expected a list of frames", "F", lambda video, share, seed: [[frame] for frame in video]),
        ("holds something that is no frame, or a frame twice", "F", lambda video, share, seed: [0]),
        ("holds something that is no frame, or a frame twice", "F", split(twice=2)),
        ("a seed gave two different splits", "F", by_global_state),
        ("eight seeds gave one and the same split", "F", split(lambda seed: np.random.default_rng(0))),
        ("seed 0: video", "F", by_frame),
        ("is on both sides", "F", split(parts=2)),
        ("of 60 frames; expected at least 10%", "F", split(most=lambda share: 0.5)),
        ("of 60 frames; expected at least 30%", "F", split(most=lambda share: 0.1)),
        ("seed 0: your code stopped with", "F", lambda video: []),
        ("your function changed what it was given", "F", lambda video, share, seed: [video.popitem()[0]]),
    ],
    check_case_7: [
        (ACCUSED, None),
        ("Here: the frame is the same, the weights are the same", "F"),
    ],
    check_own_case: [
        ("observed is None; make it a dictionary {name: Dice} with 'honest'", None),
        ("the entry 'honest' is missing: what does dice_of give", {"dark": 0.8}),
        ("3 entries; expected 'honest' and at least three mistakes", DICES),
        ("the value of 'bright' is 80", DICES | {"bright": 80}),
        ("none of them changed the Dice", {**dict.fromkeys(DICES, 0.9), "bright": 0.9}),
    ],
}
