"""How figures come into a notebook: sharp, described, and steered without a kernel."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from polyp.course import figures


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would get."""
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: outputs.append((data, options)))
    return outputs


def chart(height=2.0):
    figure = Figure(figsize=(3, height))
    figure.subplots().plot([0, 1])
    return figure


def photograph(level):
    figure = Figure(figsize=(3, 2))
    figure.subplots().imshow(np.full((4, 4, 3), level, np.uint8))
    return figure


def size_of(content):
    return Image.open(io.BytesIO(content)).size


def test_a_chart_is_a_png_of_twice_its_width_on_the_page(shown):
    figures.show(chart(), alt="a line")
    ((data, options),) = shown
    assert set(data) == {"image/png", "text/plain"}
    assert size_of(data["image/png"]) == (600, 400)
    assert options["metadata"] == {"image/png": {"alt": "a line", "width": 300}}


def test_a_photograph_is_a_jpeg_that_keeps_its_colours(shown):
    figure = Figure(figsize=(1, 1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    ramp = np.linspace(0, 255, 200).astype(np.uint8)
    axes.imshow(np.stack([ramp[None].repeat(200, 0)] * 3, axis=-1))
    figures.show(figure, alt="a grey ramp")
    ((data, _),) = shown
    picture = np.asarray(Image.open(io.BytesIO(data["image/jpeg"])), int)
    assert np.ptp(picture, axis=-1).max() <= 3  # grey stays grey; a palette of 256 colours made it brown
    assert np.abs(np.diff(picture[100, :, 0])).max() <= 6  # and even


def pages_in(html):
    return re.findall(r'"(data:image/\w+;base64,[^"]+)"', html.partition("<script>")[2])


def test_a_flipbook_holds_every_page_and_starts_where_it_should(shown):
    book = {level: photograph(level) for level in (0, 100, 200)}
    figures.flipbook(book, alt='"so" & so', name="level", start=100)
    ((data, _),) = shown
    html = data["text/html"]
    pages = pages_in(html)
    assert len(pages) == 3
    colours = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(page.partition(",")[2]))))[150, 225, 0]
        for page in pages
    ]
    assert np.abs(np.subtract(colours, [0, 100, 200], dtype=int)).max() <= 3
    assert f'<img src="{pages[1]}" alt="&quot;so&quot; &amp; so"' in html
    assert data["text/plain"] == '"so" & so'
    assert "http" not in html


def test_two_sliders_need_every_pair_of_values(shown):
    book = {(a, b): photograph(10 * a + b) for b in (0, 1) for a in (1, 2, 3)}
    figures.flipbook(book, alt="two knobs", name=("a", "b"))
    ((data, _),) = shown
    assert '"labels": [["1", "2", "3"], ["0", "1"]]' in data["text/html"]
    assert len(pages_in(data["text/html"])) == 6
    del book[2, 1]
    with pytest.raises(ValueError, match=r"no page for \{'a': 2, 'b': 1\}"):
        figures.flipbook(book, alt="two knobs", name=("a", "b"))


def test_the_same_flipbook_is_the_same_text(shown):
    for _ in range(2):
        figures.flipbook({1: chart(), 2: chart(3)}, alt="a chart", name="height")
    assert shown[0] == shown[1]
