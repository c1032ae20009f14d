"""Every hint of every exercise is reached by a tempting wrong answer, and our mistakes stay ours.

`tests/course/exercises` holds the wrong answers: one table per notebook. That the notebooks' solutions are
accepted, and their stubs are not, is tested with the notebooks.
"""

import ast
import re
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
import torch

from polyp.course import exercises
from polyp.course.exercises import (
    NotYet,
    ask,
    checker,
    compare,
    correct,
    difference,
    noted,
    number,
    read,
    show,
)
from polyp.course.exercises.notebook_03 import feeds_of, needed_cases
from polyp.model.network import UNetPlusPlus
from tests.course import exercises as tables

NAMES = sorted(module.name for module in iter_modules(tables.__path__))
CHECKERS = {name: import_module(f"polyp.course.exercises.{name}") for name in NAMES}
WRONG = {name: import_module(f"tests.course.exercises.{name}").WRONG for name in NAMES}
ACCEPTED = {name: getattr(import_module(f"tests.course.exercises.{name}"), "ACCEPTED", {}) for name in NAMES}
SAYING = ("hints", "otherwise", "nothing")  # keywords that carry sentences for the learner


@cache
def error_of(check, number: int) -> NotYet:
    """What a wrong answer raises; `__wrapped__` is the checker before it makes a verdict of it."""
    _, *answers = WRONG[check.__module__.split(".")[-1]][check][number]
    with pytest.raises(NotYet) as caught:
        check.__wrapped__(*answers)
    return caught.value


def never_said(source: str, lines: set[int], messages: str) -> list[str]:
    """The `raise NotYet` statements not among the lines, and the sentences not in the messages."""
    missed = []
    for node in ast.walk(ast.parse(source)):
        advice = [node.value] if isinstance(node, ast.keyword) and node.arg in SAYING else []
        advice += (
            [node.value] if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in SAYING else []
        )
        if isinstance(node, ast.Raise) and "NotYet" in ast.unparse(node):
            advice = [node]
            if not lines & set(range(node.lineno, node.end_lineno + 1)):
                missed.append(f"line {node.lineno}: {ast.unparse(node)}")
        for text in (part for tree in advice for part in ast.walk(tree) if isinstance(part, ast.Constant)):
            if isinstance(text.value, str) and text.value.count(" ") >= 2 and text.value not in messages:
                missed.append(f"line {text.lineno}: {text.value!r}")
    return missed


@pytest.mark.parametrize(
    ("check", "number"),
    [
        pytest.param(check, number, id=f"{check.__module__[-2:]}-{check.__name__}-{wrong[0]}")
        for table in WRONG.values()
        for check, wrongs in table.items()
        for number, wrong in enumerate(wrongs)
    ],
)
def test_a_wrong_answer_gets_its_hint(check, number):
    fragment = WRONG[check.__module__.split(".")[-1]][check][number][0]
    assert fragment in str(error_of(check, number))


@pytest.mark.parametrize(
    ("check", "number"),
    [
        pytest.param(check, number, id=f"{check.__module__[-2:]}-{check.__name__}-{number}")
        for table in ACCEPTED.values()
        for check, answers in table.items()
        for number in range(len(answers))
    ],
)
def test_another_right_answer_is_accepted(check, number):
    """A tuple holds the arguments of a checker that takes several."""
    answer = ACCEPTED[check.__module__.split(".")[-1]][check][number]
    verdict = check(*answer) if isinstance(answer, tuple) else check(answer)
    assert verdict.ok, verdict


@pytest.mark.parametrize("name", NAMES)
def test_every_hint_is_reached(name):
    file = CHECKERS[name].__file__
    errors = [error_of(check, i) for check, wrongs in WRONG[name].items() for i in range(len(wrongs))]
    frames = [frame for error in errors for frame in traceback.extract_tb(error.__traceback__)]
    lines = {frame.lineno for frame in frames if frame.filename == file}
    assert never_said(Path(file).read_text(), lines, "\n".join(map(str, errors))) == []


def test_every_checker_has_wrong_answers():
    assert sorted(module.name for module in iter_modules(exercises.__path__)) == NAMES
    for name, module in CHECKERS.items():
        assert {check.__name__ for check in WRONG[name]} == {
            f for f in vars(module) if f.startswith("check_")
        }


def test_a_hint_without_a_wrong_answer_is_found():
    source = """
if answer is None:
    raise NotYet("this was said")
raise NotYet(
    f"{answer} was not said"
)
compare(answer, cases, oracle, nothing="nothing was returned", hints={"a hint nobody gets": mistake})
"""
    said = never_said(source, {3, 7}, "this was said\nnothing was returned")
    assert [line.split(":")[0] for line in said] == ["line 4", "line 5", "line 7"]


# What the checkers of notebook 03 take for granted about the network, seen in the network.


def test_the_wiring_is_the_networks():
    """Every node writes a number of its own, so that its readers find it among their channels."""
    model, found = UNetPlusPlus((1,) * 7).eval(), {}
    nodes = [tuple(map(int, name.split("_"))) for name in model.nodes]

    def read_and_write(node, inputs, output):
        numbers = [round(number) for number in inputs[0][0, :, 0, 0].tolist()]
        found[node] = [nodes[number - 1] for number in numbers if number]  # the frame is all 0
        return torch.full_like(output, nodes.index(node) + 1)

    for node, block in zip(nodes, model.nodes.values(), strict=True):
        block.register_forward_hook(lambda _, *call, node=node: read_and_write(node, *call))
    with torch.no_grad():
        first = model.nodes["0_0"]
        first.register_forward_pre_hook(lambda _, inputs: (torch.zeros_like(inputs[0]),))
        model(torch.zeros(1, 3, 64, 64))
    assert found == feeds_of(6)


def test_the_blocks_that_a_level_needs_are_those_that_run():
    for feeds, node, needed in needed_cases():
        if node.startswith("0_"):
            row_and_steps = [tuple(map(int, name.split("_"))) for name in feeds]
            model, ran = UNetPlusPlus((1,) * (1 + max(row for row, _ in row_and_steps))).eval(), set()
            for name, block in model.nodes.items():
                block.register_forward_hook(lambda *_, name=name, ran=ran: ran.add(name))
            with torch.no_grad():
                model(torch.zeros(1, 3, 64, 64), int(node[2:]))
            assert ran == needed


# The helpers, on an exercise of their own: the double of a number.


def double(answer, cases=((2,), (3,)), oracle=lambda x: 2 * x, **options):
    @checker
    def check_double(answer):
        compare(answer, cases, oracle, nothing="double it", **options)
        return correct("twice as much")

    return repr(check_double(answer))


def test_a_verdict_is_shown_in_colour_and_counts():
    @checker
    def check_one(answer):
        return correct("1 < 2") if answer else judge_nothing()

    @checker
    def check_two(answer):
        return correct("two")

    def judge_nothing():
        raise NotYet("<b> is no tag here")

    before = len(exercises._SOLVED[__name__])
    assert "&lt;b&gt; is no tag here" in check_one(False)._repr_html_()
    right, wrong = check_one(True), check_one(False)
    assert (right.of, wrong.of) == (before, before)
    assert right.solved == wrong.solved + 1
    assert "1 &lt; 2" in right._repr_html_()
    assert f"{right.solved} of {before} in this notebook" in right._repr_html_()
    colours = [re.search("#\\w{6}", verdict._repr_html_())[0] for verdict in (right, wrong)]
    assert colours[0] != colours[1]


def test_a_right_answer_is_correct():
    assert double(lambda x: x + x) == "Correct: twice as much"
    for same in (np.float32, torch.tensor, np.array, lambda x: np.int64(x)):
        assert double(lambda x, same=same: same(2 * x)).startswith("Correct")


def test_the_stub_and_what_is_no_function():
    assert double(lambda x: None) == "Not yet: double it"
    assert double(lambda x: 4 if x == 2 else None) == "Not yet: <lambda>(3): you return None, expected 6"
    assert double(4) == "Not yet: a function is expected here, not 4"


def test_a_case_is_named_and_a_mistake_has_its_hint():
    hints = {"double, do not square": lambda x: x**2}

    def square(x):
        return x**2

    assert (
        double(square, hints=hints) == "Not yet: square(3): you return 9, expected 6; double, do not square"
    )
    assert double(square, {"three": (3,)}) == "Not yet: three: you return 9, expected 6"
    assert double(lambda x: -x, {"two": (2,)}, hints=hints, otherwise="no sign").endswith("4; no sign")


def test_the_learners_error_is_a_message_and_ours_is_not():
    def broken(x):
        raise KeyError("oops")

    assert double(broken) == "Not yet: broken(2): your code stopped with KeyError: 'oops'"
    with pytest.raises(ZeroDivisionError):
        double(lambda x: 2 * x, oracle=lambda x: x / 0)
    with pytest.raises(ZeroDivisionError):
        double(lambda x: x, hints={"never": lambda x: x / 0})


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1, 2], list.pop),
        ({"a": [1]}, lambda d: d["a"].append(2)),
        (np.arange(3), lambda array: array.sort() or array.fill(0)),
        (torch.zeros(2), lambda tensor: tensor.add_(1)),
        ((np.zeros(2), {1}), lambda pair: pair[1].add(2)),
        (np.array(["a", "b"]), lambda names: names.fill("c")),
    ],
    ids=["list", "dict", "array", "tensor", "tuple", "strings"],
)
def test_arguments_must_stay_as_they_are(value, change):
    before = show(value)
    assert ask(lambda x: "read only", value, case="here") == "read only"
    with pytest.raises(NotYet, match="here: your function changed what it was given"):
        ask(change, value, case="here")
    assert show(value) == before


ZEROS = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("got", "expected", "wrong"),
    [
        (0.3000000001, 0.3, "you return 0.3000000001, expected 0.3"),
        ("0.3", 0.3, "you return '0.3', expected 0.3"),
        (0.0, float("nan"), "you return 0, expected nan"),
        ([1], 1, "you return [1], expected 1"),
        (None, (1, 2), "you return None, expected (1, 2)"),
        ((1, 2, 3), (1, 2), "you return (1, 2, 3), expected (1, 2)"),
        ((1, 3), (1, 2), "you return (1, 3), expected (1, 2)"),
        ((1, 2), None, "you return (1, 2), expected None"),
        (1, True, "you return 1, expected True"),
        ({"a"}, {"b"}, "you return {'a'}, expected {'b'}"),
        (ZEROS[0], ZEROS, "you return an array (3,) of float32, expected an array (2, 3) of float32"),
        (np.eye(2, 3), np.eye(2, 3) > 2, "expected an array (2, 3) of bool"),
        (ZEROS + np.array([0, 0, 1]), ZEROS, "at (0, 2) you return 1, expected 0"),
        (ZEROS, ZEROS > 1, "you return an array (2, 3) of float32, expected an array (2, 3) of bool"),
        (ZEROS, torch.zeros(2, 3), "an array (2, 3) of float32, expected a tensor (2, 3) of float32"),
        (torch.ones(2), torch.zeros(2), "at (0,) you return 1, expected 0"),
    ],
)
def test_differences_in_words(got, expected, wrong):
    assert wrong in difference(got, expected)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.float64(0.3), 0.3),
        (float("nan"), float("nan")),
        ([np.int64(1), 2], (1, 2)),
        (np.True_, True),
        (None, None),
        (ZEROS.tolist(), ZEROS),
        (torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3).double()),
    ],
)
def test_alike_enough(got, expected):
    assert difference(got, expected) == ""


def test_what_is_no_array_is_the_learners():
    with pytest.raises(NotYet, match=r"you give \[\[1\], \[1, 2\]\], expected an array \(2, 3\) of float32"):
        difference([[1], [1, 2]], ZEROS)


def test_close_is_a_share_of_the_largest_number():
    assert difference(1000.5, 1000.0, close=1e-3) == ""
    assert difference(0.0015, 0.001, close=1e-3) != ""
    assert difference([0.5, 1000.0], [0.4, 1000.0], close=1e-3) != ""  # numbers of a list are on their own
    assert difference(np.array([0.5, 1000.0]), np.array([0.4, 1000.0]), close=1e-3) == ""


def test_parts_are_named():
    assert difference((1, 3), (1, 2), parts=("the sum", "the count")).startswith("the count: you return 3")


@pytest.mark.parametrize(
    ("answer", "options", "message"),
    [
        (None, {}, "measure"),
        ([0.5], {}, "measure"),
        ({"a": None}, {}, "measure"),
        ({"a": 0.5}, {"keys": ("a", "b")}, "'b' is missing; expected the keys 'a', 'b'"),
        ({"a": 0.5}, {"least": 2}, "you noted 1 of at least 2 results"),
        ({"a": 2}, {}, "the value of 'a' is 2; expected a number from 0 to 1"),
        ({"a": float("nan")}, {}, "the value of 'a' is nan; expected"),
        ({"a": "high"}, {}, "you give 'high', expected the value of 'a' to be a number"),
        ({"a": 0.5}, {"keys_between": (0, 9)}, "you give 'a', expected a key to be a number"),
        ({-1: 0.5}, {"keys_between": (0, float("inf"))}, "a key is -1; expected a number of at least 0"),
    ],
)
def test_what_is_noted_must_be_numbers(answer, options, message):
    with pytest.raises(NotYet) as caught:
        noted(answer, nothing="measure", **options)
    assert message in str(caught.value)


def test_noted_numbers_come_back_in_order():
    values = {4: np.float32(0.5), 1: torch.tensor(0.25)}
    assert list(noted(values, nothing="", keys_between=(1, 9)).items()) == [(1, 0.25), (4, 0.5)]
    assert number(np.int64(3), "it") == 3.0
    assert read(set, [1, 1], "names") == {1}
