"""The tests: each gives one line of what it sees in a program."""

from collections.abc import Callable

import torch

from polyp.course.detective.programs import BATCH, Program


def look_at_files(program: Program) -> str:
    """What the program loads, against the files."""
    scene, parts = program.scene, []
    images, masks = program.load()
    again = program.load(1)
    for ours, theirs in ((scene.images, images), (scene.masks, masks), (again[0], images)):
        parts.append(int((ours == theirs).flatten(1).all(dim=1).sum()))
    area = masks.sum() / scene.masks.sum().clamp(min=1)
    return (
        f"of {len(images)}: {parts[0]} frames and {parts[1]} masks as in the files, {parts[2]} frames the "
        f"same at a second run; polyp pixels {area:.2f} x the files'"
    )


def look_at_inputs(program: Program) -> str:
    """The range of the numbers that reach the first layer."""
    x = program.inputs(program.load()[0])
    span = (x.amax(dim=(0, 2, 3)) - x.amin(dim=(0, 2, 3))).max()
    return f"the first layer gets {x.min():.2f} to {x.max():.2f}; the numbers of one colour span {span:.2f}"


def grey_frames(program: Program) -> str:
    """How far the probabilities are from the reference's, in colour and without colour."""
    honest, far = Program(program.scene), []
    images = program.scene.images
    grey = images.float().mean(dim=1, keepdim=True).expand_as(images).to(torch.uint8)  # R = G = B
    for frames in (images, grey):
        far.append((program.probs(frames) - honest.probs(frames)).abs().max().item())
    return (
        f"probabilities differ from the reference's by at most {far[0]:.2f} in colour, {far[1]:.2f} in grey"
    )


def batch_of_one(program: Program) -> str:
    """The first frame, alone and in company."""
    images = program.scene.images
    alone, together = program.probs(images[:1]), program.probs(images[:BATCH])[:1]
    far = (alone - together).abs().max()
    return f"alone and in company, a frame's probabilities differ by at most {far:.2f}"


def look_at_probabilities(program: Program) -> str:
    """The smallest, the middle and the largest probability."""
    probs = program.probs(program.scene.images)
    return f"probabilities from {probs.min():.2f} to {probs.max():.2f}, median {probs.median():.2f}"


def other_threshold(program: Program) -> str:
    """Dice and area as the program cuts its probabilities, and at other thresholds."""
    honest, masks = Program(program.scene), program.scene.masks
    probs = program.probs(program.scene.images)
    dice = {f"{t}": honest.score(probs > t, masks) for t in (0.05, 0.3, 0.5, 0.7, 0.9)}
    preds = program.cut(probs)
    return (
        f"as it cuts: Dice {honest.score(preds, masks):.2f}, {preds.float().mean():.1%} of the pixels; at "
        f"0.5 {(probs > 0.5).float().mean():.1%}; Dice at "
        + ", ".join(f"{t}: {d:.2f}" for t, d in dice.items())
    )


def other_batch_size(program: Program) -> str:
    """The same masks, the true ones moved by three pixels, scored in batches of several sizes."""
    masks = program.scene.masks
    moved, sizes = masks.roll(3, dims=-1), (1, 4, len(masks))
    scores = [f"{program.score(moved, masks, size):.3f} in batches of {size}" for size in sizes]
    return "the true masks, moved by 3 pixels, score " + ", ".join(scores)


def look_at_split(program: Program) -> str:
    """Videos on both sides of the split, and whether a second draw is the same."""
    video, (train, test) = program.scene.video, program.split()
    both = len({video[f] for f in train} & {video[f] for f in test}) if video else "unknown, of the"
    same = len(set(test) & set(program.split(1)[1]))
    return f"videos on both sides: {both}; a second draw repeats {same} of {len(test)} test frames"


# Test -> the suspects that it convicts, or clears where it finds what the reference gives.
CONVICTS: dict[Callable[[Program], str], str] = {
    look_at_files: "AGH",
    look_at_inputs: "I",
    grey_frames: "BDEI",
    batch_of_one: "D",
    look_at_probabilities: "B",
    other_threshold: "J",
    other_batch_size: "F",
    look_at_split: "C",
}
TESTS: dict[str, Callable[[Program], str]] = {test.__name__: test for test in CONVICTS}
