import copy

import torch

from polyp.course.detective.cases import CULPRITS, Case
from polyp.course.exercises.notebook_10 import (
    check_case_1,
    check_case_2,
    check_case_3,
    check_case_4,
    check_case_5,
    check_case_6,
    check_case_7,
    check_company,
    check_own_case,
    company_matters,
)

EVERY_TEST = [
    "look_at_files",
    "grey_frames",
    "other_threshold",
    "other_batch_size",
    "look_at_split",
]


def case(number, *ran):
    return Case(f"case {number}", CULPRITS[number], ran=list(ran))


def asked(prepare=lambda model: model, first=slice(1), alone=slice(1)):
    @torch.no_grad()
    def company(model, images):
        asked = prepare(model)
        together = asked(images)[-1][first].sigmoid()
        return (asked(images[alone])[-1][:1].sigmoid() - together).abs().max().item()

    return company


def switched(model):
    return model.eval()


CHANGES = {"dark": lambda x: x // 2, "upside down": lambda x: x.flip(2), "negative": lambda x: 255 - x}
FRAMES = torch.full((2, 3, 6, 7), 200, dtype=torch.uint8)
FRAMES[:, :, 3:] = 10


def dice_of(change):
    """A Dice that falls with the difference of the changed frames."""
    return 0.8 - (change(FRAMES.clone()).float() - FRAMES.float()).abs().mean().item() / 1000


def on_a_copy_in_evaluation(model):
    return copy.deepcopy(model).eval()


def rounded(model, images):
    return 1.0 * (company_matters(model, images) > 0.01)


WRONG = {
    check_case_1: [
        ("nobody is accused yet; name a suspect by its letter", None, case(1)),
        ("expected case_1, as open_case(1, scene) opens it", "I", case(2)),
        ("expected case_1", "I", None),
        ("an accusation needs evidence", "I", case(1)),
        ("'Z' is not in the line-up", "Z", case(1, "look_at_inputs")),
        ("E (red and blue swapped) has an alibi. The trace would be: coloured", "e", case(1, "grey_frames")),
    ],
    check_case_2: [("D (network left in training mode) has an alibi", "D", case(2, "look_at_files"))],
    check_case_3: [("F (pixels pooled over each batch) has an alibi", "F", case(3, "batch_of_one"))],
    check_case_4: [("I (normalised twice) has an alibi", "I", case(4, "look_at_probabilities"))],
    check_case_5: [
        ("J (wrong threshold) is guilty, and did not act alone", "J", case(5, "other_threshold")),
        ("I (normalised twice) has an alibi", ["I", "J"], case(5, "other_threshold")),
    ],
    check_case_6: [
        ("every suspect must have been tested for; 6 have not", "nobody", case(6, "grey_frames")),
        ("A (mask shrunk smoothly, cut above 0) has an alibi", "A", case(6, "grey_frames")),
    ],
    check_case_7: [("somebody did it: in one of your tests", "nobody", case(7, *EVERY_TEST))],
    check_company: [
        ("a function is expected here, not None", None),
        ("company returns nothing; return the largest difference", lambda model, images: None),
        ("what you return to be a number", lambda model, images: "much"),
        ("your alarm has changed the network's mode", asked(switched)),
        ("in training mode each question moves the running statistics", asked()),
        ("model.eval() would hide what you are looking for", asked(on_a_copy_in_evaluation)),
        ("compare the first frame with itself", asked(copy.deepcopy, first=slice(1, 2))),
        ("a network in training mode: you return 1, expected", rounded),
        ("your code stopped with", lambda model, images: model(images[0])),
    ],
    check_own_case: [
        ("changes is missing; make it a dictionary", None, None, dice_of),
        ("you have 1 of at least three mistakes", {"dark": CHANGES["dark"]}, "dark", dice_of),
        ("guess is None; first guess which costs most: one of 'dark',", CHANGES, None, dice_of),
        ("'same' changes nothing", CHANGES | {"same": lambda x: x}, "dark", dice_of),
        ("'in floats': you return a tensor", CHANGES | {"in floats": lambda x: x / 2}, "dark", dice_of),
        ("'none' returns nothing; return the changed", CHANGES | {"none": lambda x: None}, "dark", dice_of),
        ("expected frames from 'word'", CHANGES | {"word": lambda x: "dark"}, "dark", dice_of),
    ],
}  # fmt: skip

ACCEPTED = {
    check_case_1: [(answer, case(1, "batch_of_one")) for answer in ("I", " i ", {"I"}, ["I"])],
    check_case_5: [
        (answer, case(5, "grey_frames")) for answer in ("BJ", "j, b", "B and J", {"B", "J"}, ("J", "B"))
    ],
    check_case_6: [(answer, case(6, *EVERY_TEST)) for answer in ("nobody", "Nobody", set(), [])],
    check_company: [
        company_matters,
        lambda *given: torch.tensor(company_matters(*given)),
    ],
    check_own_case: [(CHANGES, "dark", dice_of), (CHANGES, "negative", dice_of)],
}
