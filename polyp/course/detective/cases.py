"""The case files: who is accused, after which tests, and the detective's rank."""

import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polyp.course.detective.clues import CONVICTS, TESTS
from polyp.course.detective.programs import SUSPECTS, Program, Scene
from polyp.course.exercises import NotYet

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
