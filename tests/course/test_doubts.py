"""The experiment that counts doubts, on a few frames, and what it committed."""

import numpy as np
import pytest

from polyp.course import doubts
from polyp.course.experiments import read_result
from polyp.errors import DataError


def test_the_committed_counts_keep_what_is_promised():
    found = read_result("doubts")
    for data in doubts.LEARNT:
        count, doubted = found["real"][data]
        assert doubted <= 0.01 * count, data
    total, caught = np.sum(list(found["foreign"].values()), axis=0)
    assert caught >= 0.95 * total
    assert {kind for kind, (count, doubted) in found["foreign"].items() if doubted < 0.9 * count} == set()


def test_pictures_are_made_from_a_seed_and_are_pictures():
    once, again = doubts._foreign(), doubts._foreign()
    assert once.keys() == again.keys()
    for kind in ("photographs", "uniform noise", "crops of photographs, turned"):
        first, same = next(once[kind]), next(again[kind])
        assert np.array_equal(first, same)
        assert first.dtype == np.uint8
        assert first.shape[2] == 3
    assert sum(1 for _ in doubts._foreign()["crops of photographs, turned"]) == doubts.CROPS


def test_a_folder_that_is_not_there():
    with pytest.raises(DataError, match="nowhere: no such folder"):
        doubts.count_doubts("nowhere", "clinicdb")
