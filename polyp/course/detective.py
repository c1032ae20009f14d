"""Notebook 10's game: programs that are broken on purpose, the tests that show it, and the case files.

Whoever reads on before the cases are closed knows the culprits.
"""

import copy
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from polyp.course.exercises import NotYet
from polyp.data.dataset import PolypDataset
from polyp.model.metrics import count_pixels, dice_score
from polyp.model.network import SegmentationNetwork

BATCH = 8  # frames at a time, in every program

# Letter -> what was done, and the trace that it leaves.
SUSPECTS = {
    "A": ("mask shrunk smoothly, cut above 0", "the masks are not the files', but larger all around"),
    "B": ("sigmoid twice", "no probability lies below 0.5 or above 0.7311"),
    "C": ("frames split at random, unseeded", "videos stand on both sides, and a second draw gives others"),
    "D": ("network left in training mode", "the answer to a frame depends on the frames beside it"),
    "E": ("red and blue swapped", "coloured frames get other answers than in the reference, grey ones not"),
    "F": ("pixels pooled over each batch", "the score of the same masks follows the batch size"),
    "G": ("augmentation left on", "frames and masks are not the files', and others again at the second run"),
    "H": ("masks of the neighbouring frames", "every mask is one of the files', and none is its own frame's"),
    "I": ("normalised twice", "the numbers at the first layer have far too narrow a range"),
    "J": ("wrong threshold", "the masks are not those of a cut at 0.5"),
}  # fmt: skip
CULPRITS = {1: "I", 2: "G", 3: "D", 4: "E", 5: "BJ", 6: "", 7: "F"}
SYMPTOMS = {
    1: "My masks are empty. The same weights, the same frames and the same threshold work for you.",
    2: "I validate the same network twice in a row, and get two scores. Nothing else has changed.",
    3: "I only changed the batch size of my validation loader, and the score moved. Is my network better?",
    4: "The same weights and the same threshold score far lower in my program than in yours.",
    5: "Every pixel was polyp, until somebody turned one number. Now it is fine, and nobody may touch it.",
    6: "The same few frames score far below the rest, every time. There must be a mistake in my code.",
    7: "I sent you my masks. Your program gives them a lower Dice than mine does.",
}
MORALS = {
    1: "Normalise in one place only: inside the model",
    2: "Augmentation belongs to the training set's loader alone; two runs of a validation must be equal",
    3: "model.eval() before every prediction. A moving score said nothing about the weights",
    4: "cv2.imread gives blue first; nearly everything else gives red first. Convert where the file is read",
    5: "The strange threshold was a bandage for the second sigmoid. Logits everywhere, one sigmoid",
    6: "Some frames are hard. That is a finding, and no mistake",
    7: "Counts for each image first; reduce once, at the end, and say how",
}
COST = 2  # of a wrong accusation, in tests


@dataclass(frozen=True)
class Scene:
    """What all cases share: an honest network in evaluation mode, some frames, and their videos, if known.

    `images` is uint8 (N, 3, H, W), `masks` bool (N, 1, H, W), both on the network's device and as the files
    have them; `frames` are their dataset, and `names` all frames of the data.
    """

    model: SegmentationNetwork
    frames: PolypDataset
    names: list[str]
    video: Mapping[str, object]

    @property
    def images(self) -> Tensor:
        """The frames as the files have them."""
        return self.load(self.frames)[0]

    @property
    def masks(self) -> Tensor:
        """The masks as the files have them."""
        return self.load(self.frames)[1]

    def load(self, frames: PolypDataset) -> tuple[Tensor, Tensor]:
        """All of a dataset in two tensors."""
        images, masks = zip(*(frames[i] for i in range(len(frames))), strict=True)
        return torch.stack(images).to(self.model.device), torch.stack(masks).to(self.model.device) > 0


@dataclass(frozen=True)
class Program:
    """A way from files to a score, with the mistakes of some suspects in it; without any it is honest."""

    scene: Scene
    mistakes: str = ""

    def load(self, run: int = 0) -> tuple[Tensor, Tensor]:
        """Frames uint8 (N, 3, H, W) and masks bool (N, 1, H, W), as this program gets them in a run."""
        frames = self.scene.frames
        if "G" in self.mistakes:
            frames = PolypDataset(frames.cache, frames.frames, "flips", seed=run)
        images, masks = self.scene.load(frames)
        if "A" in self.mistakes:
            masks = self._smooth_masks(masks)
        if "H" in self.mistakes:
            masks = masks.roll(1, dims=0)
        return images, masks

    def _smooth_masks(self, masks: Tensor) -> Tensor:
        whole = PolypDataset(self.scene.frames.cache, self.scene.frames.frames, full_size_masks=True)
        height, width = masks.shape[-2:]
        pictures = [
            cv2.resize(
                whole[i][1][0].numpy().astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
            )
            for i in range(len(whole))
        ]
        return torch.from_numpy(np.stack(pictures))[:, None].to(masks.device) > 0

    def inputs(self, images: Tensor) -> Tensor:
        """What reaches the first layer."""
        model = self.scene.model
        x = (images.flip(1) if "E" in self.mistakes else images).float()
        for _ in range(1 + ("I" in self.mistakes)):
            x = (x - model.mean) / model.std
        return x

    @torch.inference_mode()
    def probs(self, images: Tensor) -> Tensor:
        """Probabilities (N, 1, H, W), batch by batch."""
        model = self.scene.model
        network = copy.deepcopy(model).train() if "D" in self.mistakes else model
        x = (
            self.inputs(images) * model.std + model.mean
        )  # the network normalises: give back what it will take
        probs = torch.cat([network(batch)[-1].float() for batch in x.split(BATCH)]).sigmoid()
        return probs.sigmoid() if "B" in self.mistakes else probs

    def cut(self, probs: Tensor) -> Tensor:
        """Masks of probabilities."""
        if "J" not in self.mistakes:
            return probs > 0.5
        return probs > (
            0.68 if "B" in self.mistakes else 0.076
        )  # tuned until it looked right; a logit of -2.5

    def score(self, preds: Tensor, masks: Tensor, batch: int = BATCH) -> float:
        """Dice of bool masks (N, 1, H, W)."""
        counts = count_pixels(preds, masks)
        if "F" not in self.mistakes:
            return dice_score(counts).nanmean().item()
        batches = zip(preds.split(batch), masks.split(batch), strict=True)
        return float(np.nanmean([dice_score(count_pixels(*pair).pooled()).item() for pair in batches]))

    def split(self, run: int = 0) -> tuple[list[str], list[str]]:
        """Training and test frames, as this program draws them in a run: a tenth, or whole videos."""
        names, video = self.scene.names, self.scene.video
        count = max(1, len(names) // 10)
        if "C" in self.mistakes:
            order = random.Random(1 + run).sample(names, len(names))
            return order[count:], order[:count]
        test: list[str] = []
        for number in random.Random(0).sample(kinds := list(dict.fromkeys(video.values())), len(kinds)):
            if len(test) < count:
                test += [name for name in names if video[name] == number]
        test = test or sorted(names)[:count]  # without videos
        return [name for name in names if name not in set(test)], test


# --- The tests: each gives one line of what it sees in a program ----------------------------------------


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


@dataclass
class Case:
    """A program under suspicion: which tests were run on it, and who was accused wrongly."""

    name: str
    culprits: str
    scene: Scene | None = None
    symptom: str = ""
    moral: str = ""
    ran: list[str] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)

    @property
    def program(self) -> Program:
        """The program, to be run and not to be read."""
        assert self.scene is not None
        return Program(self.scene, self.culprits)

    @property
    def cost(self) -> int:
        """The tests that were run; a wrong accusation counts as two."""
        return len(self.ran) + COST * len(self.wrong)

    def run(self, test: str) -> None:
        """Print what a test finds, and what it finds in an honest program with the same network."""
        if test not in TESTS:
            raise ValueError(f"there is no test {test!r}; choose one of {', '.join(TESTS)}")
        if test not in self.ran:
            self.ran.append(test)
        program = self.program
        print(f"{self.name}, {test}:")
        print(f"    theirs:     {TESTS[test](program)}")
        print(f"    reference:  {TESTS[test](Program(program.scene))}")

    def judge(self, accused: object) -> str:
        """The verdict on an accusation.

        Args:
            accused: letters, such as "H" or "AH" or a set of them; "nobody"; None for no accusation.

        Raises:
            NotYet: the case stays open.
        """
        letters = _letters(accused)
        if not self.ran:
            raise NotYet("an accusation needs evidence, and you have run no test")
        convicted = {letter for test in self.ran for letter in CONVICTS[TESTS[test]]}
        if not letters and (unknown := len(SUSPECTS.keys() - convicted)):
            raise NotYet(f"to clear everybody, every suspect must have been tested for; {unknown} have not")
        if letters == set(self.culprits):
            return self._close()
        if letters and letters < set(self.culprits):
            raise NotYet(f"{_names(letters)} is guilty, and did not act alone")
        self.wrong.add("".join(sorted(letters)))
        if not letters:
            raise NotYet("somebody did it: in one of your tests, theirs and the reference differ")
        innocent = sorted(letters - set(self.culprits))
        trace = SUSPECTS[innocent[0]][1]
        raise NotYet(
            f"{_names(innocent[:1])} has an alibi. The trace would be: {trace}. That cost {COST} points"
        )

    def accuse(self, accused: object) -> str:
        """The verdict as a sentence, for cases without a checker."""
        try:
            return f"Correct: {self.judge(accused)}"
        except NotYet as advice:
            return f"Not yet: {advice}"

    def _close(self) -> str:
        who = " and ".join(_names(letter) for letter in self.culprits) or "nobody did it"
        traces = "; ".join(SUSPECTS[letter][1] for letter in self.culprits) or "no test finds one"
        tests = "1 test" if self.cost == 1 else f"{self.cost} tests"
        moral = f". {self.moral}" if self.moral else ""
        return f"{self.name} closed with {tests}: {who}. The trace: {traces}{moral}"


def _letters(accused: object) -> set[str]:
    how = "name a suspect by its letter, such as 'H', two such as 'AH', or 'nobody'"
    if accused is None:
        raise NotYet(f"nobody is accused yet; {how}")
    if isinstance(accused, str):
        text = accused.strip()
    elif isinstance(accused, Iterable):
        text = " ".join(map(str, accused)) or "nobody"
    else:
        raise NotYet(f"{accused!r} is no accusation; {how}")
    if text.lower() in ("nobody", "none", "no one"):
        return set()
    letters = set(re.sub(r"\band\b|[\s,;&+]", "", text).upper())
    if strangers := sorted(letters - SUSPECTS.keys()):
        raise NotYet(f"{strangers[0]!r} is not in the line-up; {how}")
    return letters


def _names(letters: Iterable[str]) -> str:
    return " and ".join(f"{letter} ({SUSPECTS[letter][0]})" for letter in sorted(letters))


# --- The case files ------------------------------------------------------------------------------------

_CASES: dict[int, Case] = {}  # of this kernel, so that a cell that opens one again goes on with it


def open_case(number: int, scene: Scene) -> Case:
    """One of the seven cases; opened again, it remembers the tests that were run."""
    case = _CASES.setdefault(
        number, Case(f"case {number}", CULPRITS[number], None, SYMPTOMS[number], MORALS[number])
    )
    case.scene = scene
    return case


def cold_case(seed: int, scene: Scene) -> Case:
    """A case from the archive: one culprit, or two, or none, drawn by the seed."""
    draw = random.Random(seed)
    count = draw.choices((0, 1, 2), (1, 6, 3))[0]
    return Case(f"cold case {seed}", "".join(sorted(draw.sample(sorted(SUSPECTS), count))), scene)


RANKS = (
    *("passer-by", "reader of crime novels", "constable", "sergeant", "inspector", "chief inspector"),
    *("superintendent", "superintendent with sore feet"),
)
BEST = ((14, "the one they call when all else fails"), (21, "commissioner"))


def rank(closed: Mapping[int, int], folder: str | Path = ".") -> str:
    """How many cases are closed, with how many tests, and what that makes of the detective.

    Args:
        closed: tests by case, of this kernel.
        folder: where the notebook is saved: the cases that it holds as closed count too, so the rank
            outlives the kernel.
    """
    found = saved(folder) | dict(closed)
    count, tests = len(found), sum(found.values())
    title = RANKS[count]
    if count == len(CULPRITS):
        title = next((name for most, name in BEST if tests <= most), title)
    return f"{count} of {len(CULPRITS)} cases closed with {tests} tests: {title}"


def saved(folder: str | Path) -> dict[int, int]:
    """Case -> tests, of the verdicts that stand in a saved notebook 10; of several copies, the fullest."""
    best: dict[int, int] = {}
    for file in sorted(Path(folder).glob("10_*.ipynb")):
        try:
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            outputs = [json.dumps(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]
        except (ValueError, KeyError, TypeError, OSError):
            continue  # not a notebook, or not whole: the rank is a game
        verdicts = re.findall(r"Correct: case (\d) closed with (\d+) test", "\n".join(outputs))
        found = {int(case): int(tests) for case, tests in verdicts if int(case) in CULPRITS}
        best = max(best, found, key=len)
    return best
