"""The game of notebook 10: each test convicts its suspect and clears the others, and the rank adds up."""

import json

import pytest
import torch

from polyp.config import configure
from polyp.course.detective import cases
from polyp.course.detective.cases import CULPRITS, SYMPTOMS, Case, cold_case, open_case, rank, saved
from polyp.course.detective.clues import CONVICTS, TESTS, look_at_split
from polyp.course.detective.programs import SUSPECTS, Program, Scene
from polyp.course.exercises import NotYet
from polyp.data.dataset import PolypDataset, open_data
from polyp.data.known import find_dataset
from polyp.data.pairs import read_sequences
from polyp.run.training import new_model, train


@pytest.fixture(scope="module")
def scene():
    config = configure("quick", widths=(8, 16, 24), size=(32, 40), epochs=8, precision="fp32")
    data = open_data(config)
    model = new_model(config)
    train(model, data, config)
    frames = PolypDataset(data.val.cache, data.val.frames[:12])
    names = data.val.cache.table["frame"].tolist()
    return Scene(model.eval(), frames, names, read_sequences(find_dataset("synthetic")))


@pytest.mark.parametrize("letter", SUSPECTS)
def test_a_suspect_is_convicted_by_its_tests_and_by_no_other(scene, letter):
    """Tests behind a mistake may also see it; those that CONVICTS does not list for it must not be needed."""
    honest, guilty = Program(scene), Program(scene, letter)
    seen = {test for test in CONVICTS if test(honest) != test(guilty)}
    assert {test for test, letters in CONVICTS.items() if letter in letters} <= seen


def test_an_honest_program_gives_the_same_twice(scene):
    assert all(test(Program(scene)) == test(Program(scene)) for test in CONVICTS)
    assert {letter for letters in CONVICTS.values() for letter in letters} == set(SUSPECTS)


def test_the_traces(scene):
    images, masks = Program(scene).load()
    assert torch.equal(images, scene.images)
    assert Program(scene, "B").probs(images).min() >= 0.5
    assert Program(scene, "A").load()[1].sum() > masks.sum()
    assert torch.equal(Program(scene, "H").load()[1][1:], masks[:-1])
    x = Program(scene, "I").inputs(images)
    assert (x.amax(dim=(0, 2, 3)) - x.amin(dim=(0, 2, 3))).max() < 0.2
    assert (
        Program(scene, "J").cut(Program(scene, "J").probs(images)).sum()
        > Program(scene).cut(Program(scene).probs(images)).sum()
    )
    assert Program(scene, "F").score(masks.roll(3, -1), masks, 1) == pytest.approx(
        Program(scene).score(masks.roll(3, -1), masks)
    )
    train_frames, test_frames = Program(scene).split()
    assert set(train_frames) | set(test_frames) == set(scene.names)
    assert not {scene.video[f] for f in train_frames} & {scene.video[f] for f in test_frames}
    before = {name: value.clone() for name, value in scene.model.state_dict().items()}
    Program(scene, "D").probs(images)
    assert all(torch.equal(before[name], value) for name, value in scene.model.state_dict().items())


def test_without_videos(scene):
    strangers = Scene(scene.model, scene.frames, scene.names, {})
    assert "unknown" in look_at_split(Program(strangers))


def test_a_case_counts_its_tests(scene, capsys, monkeypatch):
    monkeypatch.setattr(cases, "_CASES", {})
    case = open_case(1, scene)
    assert case.symptom == SYMPTOMS[1]
    for test in ("grey_frames", "look_at_inputs", "grey_frames"):
        case.run(test)
    assert "theirs:" in capsys.readouterr().out
    with pytest.raises(NotYet, match="alibi"):
        case.judge("A")
    assert open_case(1, scene).cost == 4
    assert case.judge("I").startswith("case 1 closed with 4 tests: I (normalised twice)")
    with pytest.raises(ValueError, match="choose one of look_at_files"):
        case.run("guess")


def test_what_is_no_accusation():
    with pytest.raises(NotYet, match="3 is no accusation"):
        Case("case 1", "I", ran=["grey_frames"]).judge(3)
    assert Case("cold case 1", "A", ran=["grey_frames"]).accuse("B").startswith("Not yet: B")
    assert (
        Case("cold case 1", "A", ran=["look_at_files"]).accuse("A").startswith("Correct: cold case 1 closed")
    )


def test_cold_cases_follow_from_their_number(scene):
    drawn = [cold_case(seed, scene).culprits for seed in range(60)]
    assert drawn == [cold_case(seed, scene).culprits for seed in range(60)]
    assert {len(letters) for letters in drawn} == {0, 1, 2}
    assert set("".join(drawn)) == set(SUSPECTS)


def test_the_fewest_tests_close_every_case(scene):
    """As few as the notebook promises: twelve."""
    least = {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 5, 7: 1}
    tests = {letter: test.__name__ for test, letters in list(CONVICTS.items())[::-1] for letter in letters}
    for number, letters in CULPRITS.items():
        case = Case(f"case {number}", letters)
        clearing = ("look_at_files", "grey_frames", "other_threshold", "other_batch_size", "look_at_split")
        case.ran = [tests[letter] for letter in letters] or list(clearing)
        case.judge(letters or "nobody")
        assert case.cost == least[number]
    assert sum(least.values()) == 12
    assert set(TESTS) >= set(tests.values())


def test_the_rank_outlives_the_kernel(tmp_path):
    assert rank({}, tmp_path) == "0 of 7 cases closed with 0 tests: passer-by"
    assert rank({1: 2, 5: 3}, tmp_path) == "2 of 7 cases closed with 5 tests: constable"

    def output(text):
        return [{"output_type": "execute_result", "data": {"text/plain": [text]}}]

    cells = [
        {"cell_type": "code", "outputs": output("Correct: case 1 closed with 1 test: I. The trace")},
        {"cell_type": "code", "outputs": output("Not yet: case 3 closed with 1 test")},
        {"cell_type": "markdown", "source": ["Correct: case 4 closed with 1 test"]},
    ]
    (tmp_path / "10_what_goes_wrong.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "10_broken.ipynb").write_text("{")
    assert saved(tmp_path) == {1: 1}
    assert rank({2: 4}, tmp_path) == "2 of 7 cases closed with 5 tests: constable"
    assert rank(dict.fromkeys(range(1, 8), 2), tmp_path).endswith(
        "14 tests: the one they call when all else fails"
    )
    assert rank(dict.fromkeys(range(1, 8), 3), tmp_path).endswith("21 tests: commissioner")
    assert rank(dict.fromkeys(range(1, 8), 4), tmp_path).endswith("superintendent with sore feet")
