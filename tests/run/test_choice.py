"""Which level `--max-dice-drop` takes, on made-up tables."""

import pytest

from polyp.errors import UsageError
from polyp.run.choice import choose_level


def rows(precision, *dice):
    return [
        {"level": level, "precision": precision, "dice": value, "multiply_adds": 10**level, "frames": 7}
        for level, value in enumerate(dice, 1)
    ]


FLOAT = rows("fp32", 0.60, 0.795, 0.80, 0.80)


@pytest.mark.parametrize(("drop", "level"), [(0, 3), (0.004, 3), (0.006, 2), (0.199, 2), (0.21, 1), (1, 1)])
def test_the_cheapest_that_is_good_enough(drop, level):
    assert choose_level({"validation": FLOAT}, drop, "it")[0] == level


def test_a_deeper_level_may_be_worse():
    assert choose_level({"validation": rows("fp32", 0.5, 0.81, 0.7)}, 0.01, "it")[0] == 2


def test_why_is_one_line():
    _, why = choose_level({"validation": FLOAT}, 0.01, "it")
    assert why == (
        "level 2 in fp32, 1% of the multiply-adds: Dice 0.7950 on 7 validation frames; "
        "the best has 0.8000 (level 3 in fp32)"
    )


def test_a_file_in_int8_is_held_against_the_best_of_both_precisions():
    table = FLOAT + rows("int8", 0.3, 0.70, 0.785, 0.792)
    int8 = {"validation": table, "precision": "int8"}
    assert choose_level(int8, 0.01, "it")[0] == 4
    assert choose_level(int8, 0.02, "it")[0] == 3
    assert choose_level({"validation": table}, 0.01, "it")[0] == 2
    with pytest.raises(UsageError, match=r"it: no level of it is within 0\.005 .*0\.8000.*own best is 0\.79"):
        choose_level(int8, 0.005, "it")


def test_only_levels_that_the_file_has():
    assert choose_level({"validation": FLOAT, "levels": ["level_4"]}, 0.3, "it")[0] == 4


@pytest.mark.parametrize(
    ("metadata", "drop", "message"),
    [
        ({}, 0.01, "it: has no table of its levels .*`polyp validate it --levels --save`, or"),
        ({"levels": ["level_1"]}, 0.01, "`polyp validate CHECKPOINT --levels --save` and export it again"),
        ({"validation": FLOAT}, -0.1, "--max-dice-drop is -0.1; expected a number from 0 to 1"),
        ({"validation": FLOAT}, float("nan"), "--max-dice-drop is nan"),
    ],
)
def test_what_cannot_be_chosen(metadata, drop, message):
    with pytest.raises(UsageError, match=message):
        choose_level(metadata, drop, "it")
