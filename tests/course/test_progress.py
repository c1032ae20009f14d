"""`polyp progress` counts what the saved notebooks say."""

import json

import pytest

from polyp.__main__ import main


def lesson(place, name, *answers):
    cells = []
    for number, answer in enumerate(answers, 1):
        cells.append(
            {"cell_type": "markdown", "metadata": {}, "source": [f"### Exercise {number}: a task\n", "so"]}
        )
        data = {"output_type": "execute_result", "data": {"text/plain": [answer], "text/html": ["..."]}}
        outputs = [data] if answer else []
        cells.append(
            {
                "cell_type": "code",
                "metadata": {"tags": ["exercise"]},
                "source": "check(it)",
                "outputs": outputs,
            }
        )
    (place / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))


def test_it_counts_and_names_the_next(tmp_path, capsys):
    place = tmp_path / "notebooks"
    place.mkdir()
    lesson(place, "00_start", "Correct: yes", "Correct: yes")
    lesson(place, "01_data", "Correct: yes", "Not yet: a hint", None)
    assert main(["progress"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "00_start  2 of 2  ##",
        "01_data   1 of 3  #..",
        "all       3 of 5",
        "next: 01_data, Exercise 2: a task",
    ]


def test_of_copies_the_best_counts_and_all_solved_is_said(tmp_path, capsys):
    lesson(tmp_path, "00_start", "Not yet: no")
    lesson(tmp_path, "00_start-Copy1", "Correct: yes")
    assert main(["progress", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "00_start-Copy1  1 of 1  #" in said
    assert "every exercise is solved" in said


@pytest.mark.parametrize("content", ["", "[]", '{"cells": 3}', '{"cells": [{"source": "x"}]}'])
def test_what_is_no_notebook_is_named(content, tmp_path, capsys):
    (tmp_path / "00_start.ipynb").write_text(content)
    assert main(["progress", str(tmp_path)]) == 1
    assert "00_start.ipynb: not a notebook that can be read" in capsys.readouterr().err


def test_a_folder_without_lessons_says_what_was_expected(tmp_path, capsys):
    assert main(["progress", str(tmp_path)]) == 1
    assert (
        "no notebook of the course here; expected files such as 00_start_here.ipynb"
        in capsys.readouterr().err
    )
