"""What a publication asks for and a run has, lacks or cannot know: after CLAIM and Metrics Reloaded.

Numbers are the items of CLAIM's 2024 update (Tejani et al., doi:10.1148/ryai.240300), "Metrics" stands for
Metrics Reloaded (Maier-Hein et al., doi:10.1038/s41592-023-02151-z).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from polyp.data.known import DATASETS
from polyp.disk import shell_path
from polyp.run.page.facts import LEARNT, Facts
from polyp.run.page.scores import FEW_GROUPS, clean_frames


class Item(NamedTuple):
    """One point of the list: `done` in this run, `missing` from it, or `yours`, which no run can know."""

    status: Literal["done", "missing", "yours"]
    title: str
    says: str
    source: str
    command: str = ""


def checklist(facts: Facts) -> list[Item]:
    """What this run has, what it lacks, and what only its author can say; in this order."""
    found = [
        _disjoint(facts),
        _tested(facts),
        _external(facts),
        _intervals(facts),
        _seeds(facts),
        _clean(facts),
        _metrics(facts),
        *_kept(facts),
        *_yours(facts),
    ]
    order = {"missing": 0, "yours": 1, "done": 2}
    return sorted(found, key=lambda item: order[item.status])


def _disjoint(facts: Facts) -> Item:
    title, source = "Frames of one video are all in one part", "CLAIM 19, 20"
    shared = facts.groups("train") & facts.groups("val", "test")
    shared |= facts.groups("val") & facts.groups("test")
    if shared:
        says = f"{len(shared)} {facts.unit} have frames in more than one part, so the scores flatter."
        return Item("missing", title, says, source, "polyp train --split sequence")
    if not facts.videos:
        says = (
            "No near-duplicates are in two parts, but which frames are of one video or patient is not known. "
            "Name them in sequences.csv (columns frame,sequence) and train again."
        )
        return Item("missing", title, says, source)
    says = (
        f"Of {len(facts.groups('train', 'val', 'test'))} videos, none has frames in two parts. Whether two "
        "videos are of one patient, only you can say."
    )
    return Item("done", title, says, source)


def _tested(facts: Facts) -> Item:
    title, source = "Scored on frames that chose nothing (internal testing)", "CLAIM 26, 32"
    if "test" not in facts.tables:
        says = "The validation frames chose the epoch. Score the test frames once, when all is chosen."
        return Item("missing", title, says, source, f"{facts.folder.how_to_resume} --test")
    says = "The test frames are scored. Whether anything was chosen after a look at them, only you can say."
    return Item("yours", title, says, source)


def _external(facts: Facts) -> Item:
    title, source = "Tested on another hospital (external testing)", "CLAIM 33"
    test, learnt = facts.hospitals("test"), facts.hospitals(*LEARNT)
    if "test" in facts.tables and test and not test & learnt:
        return Item(
            "done", title, f"No frame of the test set's {', '.join(sorted(test))} was learnt from.", source
        )
    says = "No frames of a hospital that the network has not learnt from are scored in this run."
    return Item(
        "missing", title, says, source, f"polyp validate {shell_path(facts.folder.best)} --data OTHER"
    )


def _intervals(facts: Facts) -> Item:
    title, source = "Scores with their uncertainty", "CLAIM 29, 37; Metrics"
    count = len(facts.groups("test" if "test" in facts.tables else "val"))
    says = f"95 % intervals by drawing {count} {facts.unit} with replacement."
    if count >= FEW_GROUPS and facts.videos:
        return Item("done", title, says, source)
    reason = f"Fewer than {FEW_GROUPS} make them too narrow." if count < FEW_GROUPS else ""
    if not facts.videos:
        reason = f"{reason} Frames of one video, which is not known here, may be drawn apart.".strip()
    return Item("missing", title, f"{says} {reason}", source)


def _seeds(facts: Facts) -> Item:
    says = (
        f"This page knows one run, of seed {facts.config.seed} and fold {facts.config.fold}. Train others "
        "(--seed, --fold), and report the mean and the spread."
    )
    return Item("missing", "Several seeds and folds", says, "CLAIM 30")


def _clean(facts: Facts) -> Item:
    title, source = "Frames without a polyp", "CLAIM 38; Metrics"
    clean = sum(map(len, scored := [clean_frames(table) for table in facts.tables.values()]))
    if clean:
        marked = sum(int(table["marked"].sum()) for table in scored)
        return Item("done", title, f"Of {clean} scored, {marked} are marked.", source)
    says = "None is scored, so nothing is known of false alarms. Put such frames into negatives/."
    return Item("missing", title, says, source)


def _metrics(facts: Facts) -> Item:
    says = (
        "Overlap is here, also by the polyp's size. Not here: how far the outlines are apart (NSD, HD95), "
        "and how many polyps are found. Write maps with polyp predict --probabilities, and score those:"
    )
    command = "polyp score predictions/probabilities TRUTH"
    return Item("missing", "Boundary and detection scores", says, "CLAIM 28; Metrics", command)


def _kept(facts: Facts) -> Iterator[Item]:
    says = "The worst frames are above. Say in words what they have in common."
    if facts.config.refit:
        says = "Without validation frames, this page shows none. Look at the test frames' lowest, once."
    status: Literal["done", "missing"] = "missing" if facts.config.refit else "done"
    yield Item(status, "Failures are looked at", says, "CLAIM 39")
    says = (
        "Weights, settings, seed, versions and the split are in the run folder. Where you publish them and "
        "your code, only you can say."
    )
    yield Item("done", "Model, settings and software can be named", says, "CLAIM 22-26, 43")


def _yours(facts: Facts) -> Iterator[Item]:
    cards = [name for name in facts.config.data.split("+") if name in DATASETS and name != "synthetic"]
    known = (
        f" The data's card says some of it ({', '.join(f'data/{name}.md' for name in cards)})."
        if cards
        else ""
    )
    yield Item(
        "yours",
        "Who drew the outlines",
        "With which training and tool, how many people for each frame, and how well they agree." + known,
        "CLAIM 14-18",
    )
    yield Item(
        "yours",
        "Who the patients are",
        "Number, age, sex, indication, devices; who was left out and why; how they were made anonymous.",
        "CLAIM 7, 8, 11, 13, 35, 36",
    )
    yield Item("yours", "Why so many frames", "How the size of the test set was decided.", "CLAIM 21")
    yield Item(
        "yours",
        "What it is for",
        "The intended use, why these scores fit it, limitations, the ethics approval, funding.",
        "CLAIM 3, 40, 41, 44; Metrics",
    )
