"""The laboratory's second part, "Turn the knobs", against `polyp`, NumPy and OpenCV."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

import polyp
from polyp.model import metrics
from tests.site.serving import array, failures, open_lab, until

SAMPLE = Path(polyp.__file__).parent / "data" / "sample"
SIZE = (352, 352)
SCORES = {
    "Dice": metrics.dice_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
}
REST = {"threshold": 0.5, "level": 4, "mirrored": False, "brightness": 1, "blur": 0, "rotation": 0}
REST |= {"edge": "repeated", "bgr": False}


class Knobs:
    """The part on the page, as a reader has it before them."""

    def __init__(self, browser):
        self.browser = browser
        self.part = browser.find_element(By.CSS_SELECTOR, "[data-part=knobs] .lab-live")
        browser.execute_script("arguments[0].scrollIntoView()", self.part)
        self.settle()

    def settle(self):
        until(lambda: self.part.get_attribute("data-busy") == "false")

    def find(self, selector):
        return self.part.find_element(By.CSS_SELECTOR, selector)

    def knob(self, name, choice=None):
        return self.find(f"[data-knob={name}] input" + (f"[value='{choice}']" if choice else ""))

    def press(self, name, *keys):
        """Keys on a slider; its value then."""
        knob = self.knob(name)
        knob.send_keys(*keys)
        self.settle()
        return float(knob.get_attribute("value"))

    def click(self, name, choice=None):
        self.knob(name, choice).click()
        self.settle()

    def reset(self):
        self.find(".lab-button").click()
        self.settle()

    def settings(self):
        """The positions of all knobs, as the page shows them."""
        found = {}
        for name, rest in REST.items():
            if isinstance(rest, bool):
                found[name] = self.knob(name).is_selected()
            elif name in ("level", "edge"):
                picked = self.find(f"[data-knob={name}] input:checked").get_attribute("value")
                found[name] = type(rest)(picked)
            else:
                found[name] = float(self.knob(name).get_attribute("value"))
        return found

    def array(self, expression, dtype, shape):
        """A typed array that the part holds for tests."""
        return array(self.browser, f"part.{expression}", dtype, self.part).reshape(shape).copy()

    def pixels(self):
        return self.array("labPixels", np.uint8, (*SIZE, 3))

    def logits(self):
        return self.array("labLogits[0]", np.float32, SIZE)

    def scores(self, row="now"):
        cells = self.part.find_elements(By.CSS_SELECTOR, f"td[data-row='{row}']")
        return {cell.get_attribute("data-score"): float(cell.get_attribute("data-value")) for cell in cells}

    def says(self):
        return self.find("[role=status]").text


@pytest.fixture(scope="module")
def page(browser, lab_address):
    """Loaded once: the tests of this module leave it as the next can use it."""
    open_lab(browser, lab_address)
    return Knobs(browser)


@pytest.fixture
def knobs(page):
    """All knobs at rest."""
    page.reset()
    yield page
    assert failures(page.browser) == []


@pytest.fixture(scope="module")
def frame():
    """The frame that the part begins with, and its mask."""
    image = polyp.read_image(SAMPLE / "images" / "large.jpg")
    return image, cv2.imread(str(SAMPLE / "masks" / "large.png"), cv2.IMREAD_GRAYSCALE) > 127


@torch.inference_mode()
def logits_of(model, pixels, level=4):
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    return model(batch, level)[-1][0, 0].numpy()


def rate(mask, truth):
    """What `polyp` says of a mask, and the share that is marked."""
    counts = metrics.count_pixels(torch.from_numpy(mask)[None, None], torch.from_numpy(truth)[None, None])
    return {name: float(score(counts)) for name, score in SCORES.items()} | {"share marked": mask.mean()}


def test_the_threshold_moves_mask_scores_and_plot(knobs, model, frame):
    image, truth = frame
    probs = polyp.predict_probs(model, image, SIZE, precision="fp32")
    np.testing.assert_allclose(knobs.array("labProbs", np.float32, truth.shape), probs, atol=1e-3)
    assert knobs.says().endswith(f"Dice {rate(probs > 0.5, truth)['Dice']:.2f}.")

    for keys in (Keys.HOME, Keys.PAGE_UP, Keys.ARROW_RIGHT, Keys.END):
        threshold = knobs.press("threshold", keys)
        expected = rate(probs > threshold, truth)
        assert knobs.scores() == pytest.approx(expected, abs=0.005)
        assert knobs.find("[data-knob=threshold] output").text == f"{threshold:.2f}"
        assert float(knobs.find(".lab-curve-cursor").get_attribute("data-threshold")) == threshold
    assert threshold == 0.95
    # The slider is compared with where it stood when it was taken.
    rest = rate(probs > 0.5, truth)
    assert knobs.scores("before this knob") == pytest.approx(rest, abs=0.005)
    assert knobs.says() == f"Threshold 0.95: Dice {rest['Dice']:.2f} → {expected['Dice']:.2f}."

    ActionChains(knobs.browser).move_to_element(knobs.knob("threshold")).click().perform()  # its middle
    assert float(knobs.knob("threshold").get_attribute("value")) == pytest.approx(0.5, abs=0.02)

    # The curves, in the plot's own units: its grid says where 0 and 1 lie.
    grid = knobs.part.find_elements(By.CSS_SELECTOR, ".lab-curve-grid")
    (left, bottom), (right, top) = (
        (float(grid[1 + end].get_attribute("x1")), float(grid[end].get_attribute("y1"))) for end in (0, 8)
    )
    for name in SCORES:
        points = knobs.find(f"polyline[data-score={name}]").get_attribute("points").split()
        drawn = np.array([point.split(",") for point in points], float)[4:-4:10]
        for x, y in drawn:
            threshold = (x - left) / (right - left)
            value = (y - bottom) / (top - bottom)
            assert value == pytest.approx(rate(probs > threshold, truth)[name], abs=0.005), (name, threshold)


def test_levels_and_mirrorings_are_those_of_the_package(knobs, model, frame):
    image, truth = frame
    pixels = knobs.pixels()
    np.testing.assert_array_equal(pixels, cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA))
    for level in (4, 3, 2, 1):
        knobs.click("level", level)
        np.testing.assert_allclose(knobs.logits(), logits_of(model, pixels, level), atol=1e-3)
        label = knobs.knob("level", level).find_element(By.XPATH, "..").text
        assert label.startswith(f"L{level}: ")
        assert label.endswith(" ms here")
    knobs.click("mirrored")
    probs = polyp.predict_probs(model, image, SIZE, mirror=True, level=1, precision="fp32")
    np.testing.assert_allclose(knobs.array("labProbs", np.float32, truth.shape), probs, atol=1e-3)
    assert knobs.says().startswith("Four mirrorings averaged: Dice ")


def turned(image, degrees, shape, flags, border=cv2.BORDER_CONSTANT):
    """An array of any size, turned as the picture of `shape` that it was squeezed from is."""
    (tall, wide), (height, width) = shape, image.shape[:2]
    squeeze = np.array(
        [[width / wide, 0, (width / wide - 1) / 2], [0, height / tall, (height / tall - 1) / 2], [0, 0, 1]]
    )
    turn = np.vstack([cv2.getRotationMatrix2D(((wide - 1) / 2, (tall - 1) / 2), degrees, 1), [0, 0, 1]])
    matrix = (squeeze @ turn @ np.linalg.inv(squeeze))[:2]
    return cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)


def test_spoiling_is_what_opencv_does(knobs, model, frame):
    image, truth = frame
    small = knobs.pixels()
    knobs.click("level", 1)  # the quickest

    def differences(expected):
        return np.abs(knobs.pixels().astype(int) - expected.astype(int))

    def agree(truth=truth):
        """The network sees these pixels, and the figures are those of its map and this mask."""
        settings = {"level": 1, "precision": "fp32", "out_size": truth.shape}
        probs = polyp.predict_probs(model, knobs.pixels(), SIZE, **settings)
        np.testing.assert_allclose(knobs.array("labProbs", np.float32, truth.shape), probs, atol=1e-3)
        assert knobs.scores() == pytest.approx(rate(probs > 0.5, truth), abs=0.005)

    factor = knobs.press("brightness", Keys.END)
    assert factor == 2
    assert differences(cv2.convertScaleAbs(small, alpha=factor)).max() <= 1  # the rounding of halves
    assert knobs.press("brightness", Keys.ARROW_LEFT * 20) == 1

    sigma = knobs.press("blur", Keys.PAGE_UP, Keys.PAGE_UP, Keys.PAGE_UP)
    assert sigma > 1
    assert differences(cv2.GaussianBlur(small, (0, 0), sigma)).max() <= 1  # OpenCV's weights are of 8 bit
    knobs.press("blur", Keys.HOME)
    np.testing.assert_array_equal(knobs.pixels(), small)

    degrees = knobs.press("rotation", Keys.PAGE_UP)
    assert degrees > 30
    for edge, border in (("repeated", cv2.BORDER_REPLICATE), ("black", cv2.BORDER_CONSTANT)):
        if edge == "black":
            knobs.click("edge", edge)
        expected = turned(small, degrees, truth.shape, cv2.INTER_LINEAR, border)
        assert differences(expected).mean() < 0.3  # OpenCV rounds places to 1/32 of a pixel
        assert (differences(expected) > 10).mean() < 0.001
        turned_truth = knobs.array("labTruth", np.uint8, truth.shape) > 0
        by_opencv = turned(truth.astype(np.uint8), degrees, truth.shape, cv2.INTER_NEAREST) > 0
        assert (turned_truth != by_opencv).mean() < 0.001
        agree(turned_truth)
    assert knobs.says().startswith("Black beyond the edge: Dice ")
    knobs.reset()

    before = knobs.scores()["Dice"]
    knobs.click("bgr")
    probs = polyp.predict_probs(model, np.ascontiguousarray(image[..., ::-1]), SIZE, precision="fp32")
    np.testing.assert_allclose(knobs.array("labProbs", np.float32, truth.shape), probs, atol=1e-3)
    expected = rate(probs > 0.5, truth)
    assert knobs.scores() == pytest.approx(expected, abs=0.005)
    assert knobs.says() == f"BGR instead of RGB: Dice {before:.2f} → {expected['Dice']:.2f}."


def test_every_knob_turns_by_the_keyboard_alone(knobs):
    body = ActionChains(knobs.browser)
    knobs.browser.execute_script("arguments[0].focus()", knobs.find(".lab-own input"))
    moves = {
        "threshold": Keys.ARROW_LEFT,
        "level": Keys.ARROW_UP,
        "mirrored": Keys.SPACE,
        "brightness": Keys.ARROW_LEFT,
        "blur": Keys.ARROW_RIGHT,
        "rotation": Keys.ARROW_LEFT,
        "edge": Keys.ARROW_DOWN,
        "bgr": Keys.SPACE,
    }
    focused = "return document.activeElement.closest('[data-knob]')?.dataset.knob"
    for name, key in moves.items():
        body.send_keys(Keys.TAB).perform()
        assert knobs.browser.execute_script(focused) == name
        body.send_keys(key).perform()
    assert knobs.settings() == pytest.approx(
        {"threshold": 0.49, "level": 3, "mirrored": True, "brightness": 0.95, "blur": 0.1}
        | {"rotation": -1, "edge": "black", "bgr": True}
    )
    body.send_keys(Keys.TAB, Keys.ENTER).perform()  # the button that resets
    assert knobs.settings() == REST
    knobs.settle()

    second = knobs.part.find_elements(By.CSS_SELECTOR, ".lab-frame")[1]
    knobs.browser.execute_script("arguments[0].focus()", second)
    body.send_keys(Keys.ENTER).perform()
    knobs.settle()
    assert second.get_attribute("aria-pressed") == "true"
    assert knobs.says().startswith("This picture: Dice ")
    back_to_the_first_frame(knobs)


def back_to_the_first_frame(knobs):
    knobs.find(".lab-frame[aria-label^='large']").click()
    knobs.settle()


def test_the_last_of_quick_changes_counts(knobs, model):
    """Six clicks in one go, and the threshold moved while the network computes."""
    small = knobs.pixels()
    script = """
    const [part, ...inputs] = arguments;
    for (const input of inputs) input.click();
    const slider = part.querySelector("[data-knob=threshold] input");
    slider.value = 0.8;
    slider.dispatchEvent(new Event("input"));
    const share = part.querySelector("td[data-row=now][data-score='share marked']");
    return [part.dataset.busy, Number(share.dataset.value)];"""
    probs = 1 / (1 + np.exp(-knobs.logits()))
    clicks = [knobs.knob("level", 1), knobs.knob("bgr"), knobs.knob("level", 3), knobs.knob("bgr")]
    clicks += [knobs.knob("bgr"), knobs.knob("level", 2)]
    busy, share = knobs.browser.execute_script(script, knobs.part, *clicks)
    assert busy == "true"
    assert share == pytest.approx((probs > 0.8).mean(), abs=0.005)  # of the old map
    knobs.settle()
    np.testing.assert_allclose(knobs.logits(), logits_of(model, small[..., ::-1], 2), atol=1e-3)
    probs = 1 / (1 + np.exp(-knobs.logits()))
    assert knobs.scores()["share marked"] == pytest.approx((probs > 0.8).mean(), abs=0.005)


def test_a_picture_of_ones_own_has_no_scores_and_a_bad_file_does_no_harm(knobs, model, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    knobs.find(".lab-own input").send_keys(str(tmp_path / "notes.png"))
    knobs.settle()
    assert knobs.says().startswith("That did not work: not a picture")
    assert knobs.settings() == REST
    assert knobs.find(".lab-frame[aria-pressed=true]").get_attribute("aria-label").startswith("large")

    image = polyp.read_image(SAMPLE / "images" / "glossy.jpg")[20:420, 30:430]
    cv2.imwrite(str(tmp_path / "own.png"), image[..., ::-1])
    knobs.find(".lab-own input").send_keys(str(tmp_path / "own.png"))
    knobs.settle()
    probs = polyp.predict_probs(model, image, SIZE, precision="fp32")
    np.testing.assert_array_equal(knobs.pixels(), cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA))
    np.testing.assert_allclose(knobs.array("labProbs", np.float32, probs.shape), probs, atol=1e-3)
    cells = knobs.part.find_elements(By.CSS_SELECTOR, "td[data-row=now]")
    assert [cell.text for cell in cells] == ["–", "–", "–", f"{100 * (probs > 0.5).mean():.1f} %"]
    assert "nothing to score" in knobs.part.text
    assert not knobs.find(".lab-curve").is_displayed()
    knobs.click("bgr")
    assert knobs.says().startswith("BGR instead of RGB: share marked ")
    back_to_the_first_frame(knobs)
    assert knobs.find(".lab-curve").is_displayed()
