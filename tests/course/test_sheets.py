"""Pictures side by side: every one is there, has a border line, and the outlines that it should have."""

import numpy as np

from polyp.course import figures


def test_a_sheet_holds_pictures_of_any_size_in_rows():
    pictures = [np.zeros(shape, np.uint8) for shape in ((20, 30, 3), (30, 20), (25, 25, 3))]
    figure = figures.sheet(pictures, ["a", "b", "c"], columns=2, width=2, key="white: a mask")
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    shapes = [axes.images[0].get_array().shape for axes in figure.axes]
    assert shapes == [picture.shape for picture in pictures]
    rows = [axes.get_subplotspec().rowspan.start for axes in figure.axes]
    assert rows == [0, 0, 1]
    assert figure.get_figwidth() == 4
    assert figure.get_figheight() > 2 * (30 / 20 + 1)  # the highest picture of each row
    assert figure.get_supxlabel() == "white: a mask"
    assert all(axes.spines["left"].get_visible() and not axes.get_xticks().size for axes in figure.axes)


def test_outlines_are_drawn_where_a_mask_is_given():
    picture, mask = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15] = 1
    figure = figures.sheet([picture] * 3, ["", "", ""], [mask, None, 0 * mask], [mask, mask, None])
    lines = [len(axes.collections) for axes in figure.axes]
    assert lines == [4, 2, 0]  # each outline is a line on a wider black one; none around an even mask
