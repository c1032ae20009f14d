"""Part 4 of the laboratory: the bets, what the network marks, and the warning, against `polyp` itself."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from polyp.data.familiar import Familiar
from polyp.data.images import shrink
from polyp.run.engines import SHIPPED_ONNX, OnnxEngine
from polyp.run.prediction import Picture, Point, predict_pictures
from tests.site.serving import failures, injected, open_lab, until

NO_WARNING = "No warning: the picture looks like its training frames."
SHAPE = (436, 512)
# A network that marks nothing, at once: for tests of what does not come from it.
BLIND = """
Worker.prototype.postMessage = function ({ id, kind, base }) {
  const look = { logits: new Float32Array(352 * 352).fill(-9), milliseconds: 0 };
  const load = async () => (await fetch(new URL("network.json", base))).json();
  Promise.resolve(kind === "load" ? load() : look).then((answer) => this.onmessage({ data: { id, answer } }));
};
"""


@pytest.fixture(scope="module")
def engine():
    return OnnxEngine(SHIPPED_ONNX)


@pytest.fixture
def blind(browser, lab_address):
    with injected(browser, BLIND):
        open_lab(browser, lab_address)
    return Part(browser)


@pytest.fixture
def part(lab):
    return Part(lab)


class Part:
    """The part as a reader sees it."""

    def __init__(self, browser):
        self.browser = browser
        self.place = browser.find_element(By.CSS_SELECTOR, "[data-part=fooled]")
        browser.execute_script("arguments[0].scrollIntoView()", self.place)
        self.wait_for_question()

    def find(self, selector):
        return self.place.find_element(By.CSS_SELECTOR, selector)

    @property
    def status(self):
        return self.find(".lab-status").text

    def wait_for_question(self):
        until(lambda: self.status == "Your bet?")

    def wait_for_answer(self):
        until(lambda: self.status.startswith("Your bet was"))

    def bets(self):
        return self.place.find_elements(By.CSS_SELECTOR, "[aria-label='Your bet'] button")

    def pick(self, title):
        self.find(f"[aria-label='{title}']").click()

    def bet(self, yes):
        self.bets()[0 if yes else 1].click()
        self.wait_for_answer()

    def figures(self):
        cells = self.place.find_elements(By.CSS_SELECTOR, "[data-figure]")
        return [float(cell.get_attribute("data-figure")) for cell in cells]

    @property
    def warning(self):
        return self.find(".lab-warning, .lab-calm").text

    @property
    def lesson(self):
        return self.find(".lab-lesson").text

    @property
    def tally(self):
        return self.place.find_elements(By.CSS_SELECTOR, ".lab-caption")[-1].text


def random_numbers(seed):
    """Mulberry32."""
    while True:
        seed = (seed + 0x6D2B79F5) & 0xFFFFFFFF
        mixed = ((seed ^ seed >> 15) * (seed | 1)) & 0xFFFFFFFF
        mixed ^= (mixed + (mixed ^ mixed >> 7) * (mixed | 61)) & 0xFFFFFFFF
        yield (mixed ^ mixed >> 14) / 2**32


def noise(height, width):
    numbers = random_numbers(1)
    pixels = np.fromiter((int(256 * next(numbers)) for _ in range(height * width * 3)), np.uint8)
    image = pixels.reshape(height, width, 3)
    return cv2.resize(image.astype(np.float32), SHAPE[::-1], interpolation=cv2.INTER_LINEAR)


def made(frames):
    """What the page makes of the frames, and noise, by other means: title -> uint8 RGB (H, W, 3)."""
    stalk, glossy, fold, large = (served(frames[name]) for name in ("stalk", "glossy", "fold", "large"))
    grey = cv2.cvtColor(glossy, cv2.COLOR_RGB2GRAY)[::-1]
    height, width = large.shape[:2]
    few = cv2.resize(large, (round(16 * width / height), 16), interpolation=cv2.INTER_AREA)
    found = {
        "a real frame, red and blue exchanged": stalk[..., ::-1],
        "a real frame, upside down and grey": np.stack([grey] * 3, axis=-1),
        "a real frame, almost black": 0.05 * fold,
        "a real frame, heavily blurred": cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR),
        "fine noise, a random colour for each pixel": noise(*SHAPE),
        "coarse noise, the same in soft spots": noise(27, 32),
    }
    return {title: np.ascontiguousarray(np.rint(image).astype(np.uint8)) for title, image in found.items()}


def served(frame):
    """A frame as the page loads it: a JPEG of quality 95."""
    _, content = cv2.imencode(".jpg", frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def test_doubt_and_surprise_are_those_of_polyp(blind, frames, engine):
    familiar = Familiar.from_dict(engine.metadata["familiar"])
    chosen = [frame for frame in frames.values() if frame.kind in ("clean", "photo")]
    pictures = {frame.title: frame.image for frame in chosen} | made(frames)
    assert len(pictures) == len(blind.place.find_elements(By.CSS_SELECTOR, ".lab-frame")) == 10
    for title, image in pictures.items():
        blind.pick(title)
        blind.wait_for_question()
        blind.bet(False)
        doubt = familiar.doubt(image, engine.size)
        assert blind.warning == (f"Warning: {doubt}." if doubt else NO_WARNING), title
        surprise = familiar.surprise(shrink(image, engine.size))
        assert blind.figures()[2] == pytest.approx(surprise, rel=0.02, abs=0.1), title
    assert blind.tally == "Your bets: 10 of 10 right."


def test_marks_are_those_of_polyp(part, frames, engine):
    swapped = "a real frame, red and blue exchanged"
    pictures = {frames[name].title: frames[name].image for name in ("clean_tiny", "clean_fold")}
    pictures[swapped] = made(frames)[swapped]
    point = Point.of(engine.metadata)
    for title, image in pictures.items():
        part.pick(title)
        part.wait_for_question()
        part.bet(True)
        (found,) = predict_pictures(engine, [Picture(Path(title), title, image)], point)
        marked, highest, _ = part.figures()
        close = 0.005 if title == swapped else 5e-4  # the browser decodes its JPEG a little otherwise
        assert marked == pytest.approx(found.mask.mean(), abs=close)
        assert highest == pytest.approx(found.probs.max(), abs=close)
        assert part.status.startswith("Your bet was right" if found.mask.any() else "Your bet was wrong")
    truth = frames["stalk"].mask
    dice = 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum())
    assert f"Dice of {dice:.2f}" in part.lesson
    outlined = part.find("canvas")
    assert outlined.get_attribute("aria-label") == f"{swapped}; what the network marks is outlined"
    assert part.tally == "Your bets: 2 of 3 right."


def test_a_bet_stands_and_is_remembered(blind):
    assert blind.tally == "No bet yet."
    assert not blind.place.find_elements(By.CSS_SELECTOR, "[data-figure]"), "the answer comes after the bet"
    yes, no = blind.bets()
    blind.bet(True)
    yes.click(), no.click()
    assert [one.get_attribute("aria-pressed") for one in (yes, no)] == ["true", "false"]
    assert blind.tally == "Your bets: 0 of 1 right."
    blind.pick("a photograph of a flower")
    blind.wait_for_question()
    assert [one.get_attribute("aria-pressed") for one in (yes, no)] == ["false", "false"]
    blind.find(".lab-frame").click()
    blind.wait_for_answer()
    assert blind.status == "Your bet was wrong: it leaves it clean."
    assert blind.tally == "Your bets: 0 of 1 right."


def test_by_keyboard_alone(blind):
    def press(key):
        ActionChains(blind.browser).send_keys(key).perform()

    blind.browser.execute_script("arguments[0].focus()", blind.find(".lab-frame"))
    for _ in range(3):
        press(Keys.TAB)
    press(Keys.ENTER)
    blind.wait_for_question()
    assert blind.find(".lab-stage").get_attribute("aria-label") == "a photograph of a flower"
    for _ in range(9):  # six more pictures, the file, yes, no
        press(Keys.TAB)
    press(Keys.SPACE)
    blind.wait_for_answer()
    assert blind.browser.switch_to.active_element == blind.bets()[1], "the focus stays"
    assert blind.status == "Your bet was right: it leaves it clean."


def test_a_bad_file_is_a_sentence_and_all_goes_on(blind, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    own = blind.find("input[type=file]")
    own.send_keys(str(tmp_path / "bad.png"))
    until(lambda: blind.status.startswith("That did not work: not a picture"))
    blind.bets()[0].click()
    assert blind.status.startswith("That did not work"), "there is nothing to bet on"
    cv2.imwrite(str(tmp_path / "small.png"), np.full((60, 80, 3), 90, np.uint8))
    own.send_keys(str(tmp_path / "small.png"))
    blind.wait_for_question()
    blind.bet(False)
    assert blind.warning.startswith("Warning: 80 pixels: far smaller")
    assert blind.lesson.startswith("Nobody has outlined this picture")


def test_a_failing_network_gives_the_bet_back(blind):
    blind.browser.execute_script(
        """const post = window.post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function ({id}) {
          setTimeout(() => this.onmessage({data: {id, error: "out of memory"}}));
        };"""
    )
    blind.bets()[0].click()
    until(lambda: blind.status == "That did not work: out of memory")
    blind.browser.execute_script("Worker.prototype.postMessage = window.post")
    blind.bet(False)
    assert blind.tally == "Your bets: 1 of 1 right."


def test_the_pictures_to_choose_are_drawn(blind):
    def drawn():
        images = blind.place.find_elements(By.CSS_SELECTOR, ".lab-frame img")
        return [image.get_attribute("src").split(";")[0] for image in images[-6:]]

    until(lambda: drawn() == ["data:image/png"] * 6)
    assert failures(blind.browser) == []
