"""The laboratory's first part: outlines, the network's answer, and pictures of one's own."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from matplotlib.path import Path as Polygon
from PIL import Image
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By

import polyp
from polyp.data.synthetic import make_sequence
from polyp.model.metrics import count_pixels, dice_score
from tests.site.serving import array, failures, until

SAMPLE = Path(polyp.__file__).parent / "data" / "sample"
PART = "document.querySelector('[data-part=find] .lab-live')"
PIXELS = """((shown) => {
  const copy = new OffscreenCanvas(shown.width, shown.height).getContext('2d', {willReadFrequently: true});
  copy.drawImage(shown, 0, 0);
  return copy.getImageData(0, 0, shown.width, shown.height).data;
})(document.querySelector('.lab-drawing'))"""
STROKE = """const canvas = document.querySelector('.lab-drawing'), box = canvas.getBoundingClientRect();
const send = (type, [x, y]) => canvas.dispatchEvent(new PointerEvent(type, {
  clientX: box.left + x / canvas.width * box.width, clientY: box.top + y / canvas.height * box.height,
  pointerId: 1, isPrimary: true, button: 0, bubbles: true, cancelable: true}));
const [points] = arguments;
send('pointerdown', points[0]);
for (const point of points) send('pointermove', point);
send('pointerup', points.at(-1));"""


class Find:
    """The part, as a reader handles it."""

    def __init__(self, driver):
        self.driver = driver
        self.place = driver.find_element(By.CSS_SELECTOR, "[data-part=find]")
        driver.execute_script("arguments[0].scrollIntoView()", self.place)

    def wait_for(self, name):
        until(lambda: self.script(f"{PART}.dataset.ready") == name)

    def script(self, expression, *given):
        return self.driver.execute_script(f"return {expression}", *given)

    def mask(self, name="labMask"):
        return array(self.driver, f"{PART}.{name}").reshape(self.size)

    def picture(self):
        """What the canvas shows, uint8 RGB (H, W, 3)."""
        rgba = array(self.driver, PIXELS)
        return rgba.reshape(*self.size, 4)[..., :3]

    @property
    def size(self):
        return tuple(self.script("((c) => [c.height, c.width])(document.querySelector('.lab-drawing'))"))

    @property
    def canvas(self):
        return self.place.find_element(By.CSS_SELECTOR, ".lab-drawing")

    @property
    def status(self):
        return self.place.find_element(By.CSS_SELECTOR, "[role=status]").text

    @property
    def result(self):
        return self.place.find_element(By.CSS_SELECTOR, ".lab-result")

    @property
    def table(self):
        """The rows: {name: [numbers]}."""
        rows = self.result.find_elements(By.CSS_SELECTOR, "tbody tr")
        return {
            row.find_element(By.TAG_NAME, "th").text.removesuffix(", pixels"): [
                float(cell.text.replace(",", "")) for cell in row.find_elements(By.TAG_NAME, "td")
            ]
            for row in rows
        }

    def pick(self, name):
        """Click the frame's button, whose accessible name begins with its title."""
        button = self.place.find_element(By.CSS_SELECTOR, f".lab-frame[aria-label^='{name}']")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def press(self, label):
        button = self.place.find_element(By.XPATH, f".//button[text()='{label}']")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def draw(self, points):
        self.driver.execute_script(STROKE, [list(map(float, point)) for point in points])

    def choose(self, path):
        self.place.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))


@pytest.fixture
def fresh(lab):
    """The part as it is when the page has been loaded."""
    failures(lab)  # those before this test
    yield Find(lab)
    assert not failures(lab)


@pytest.fixture
def find(request, browser, lab_address):
    """The part with the frame "flat", on the page that an earlier test has left: loads cost seconds."""
    ready = browser.execute_script("return document.documentElement.dataset.lab") == "ready"
    loaded = ready and browser.current_url == lab_address
    lab = browser if loaded else request.getfixturevalue("lab")
    failures(lab)
    part = Find(lab)
    part.pick("flat")
    part.wait_for("flat")
    yield part
    assert not failures(lab)


@pytest.fixture(scope="module")
def shipped():
    return polyp.load()


def truth_of(name):
    return cv2.imread(str(SAMPLE / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 127


def dice(mask, truth):
    masks = (torch.from_numpy(np.array(one) > 0)[None, None] for one in (mask, truth))
    return dice_score(count_pixels(*masks)).item()


def border(mask):
    """The pixels within one pixel of a mask's border."""
    square = np.ones((3, 3), np.uint8)
    return cv2.dilate(mask, square) != cv2.erode(mask, square)


def test_outlines_are_filled_and_scored_as_polyp_does(fresh):
    find = fresh
    find.wait_for("flat")
    truth = truth_of("flat")
    height, width = truth.shape
    assert find.size == (height, width)
    y, x = np.argwhere(truth).mean(axis=0)
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.stack([x + 45 * np.cos(turns), y + 35 * np.sin(turns)], axis=1)
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2)
    oracle = Polygon(circle, closed=False).contains_points(centres).reshape(height, width).astype(np.uint8)

    find.press("Show the answer")
    assert "Draw an outline first" in find.status
    assert not find.result.is_displayed()
    find.draw(circle)
    find.press("Show the answer")
    yours, network = find.mask(), find.mask("labNetworkMask")
    np.testing.assert_array_equal(find.mask("labTruth"), truth)
    assert not ((yours != oracle) & ~border(oracle)).any()
    assert dice(yours, truth) == pytest.approx(dice(oracle, truth), abs=0.005)
    expected = {
        "found": [(mask & truth).sum() for mask in (yours, network)],
        "falsely marked": [(mask & ~truth).sum() for mask in (yours, network)],
        "missed": [((1 - mask) & truth).sum() for mask in (yours, network)],
        "Dice": [round(dice(mask, truth), 2) for mask in (yours, network)],
    }
    assert find.table == expected
    text = find.result.text
    assert f"Your Dice: {dice(yours, truth):.2f}" in text
    assert f"The network's Dice: {dice(network, truth):.2f}" in text
    assert expected["missed"][1] > 1.5 * expected["falsely marked"][1]
    assert "the network missed more than it marked wrongly" in text
    assert f"Your Dice is {dice(yours, truth):.2f}" in find.status

    # The record counts first guesses alone: this second one is far worse.
    record = find.place.find_element(By.CSS_SELECTOR, ".lab-record")
    said = record.text
    assert f"{dice(yours, truth):.2f} over 1 frame;" in said
    assert f"on the same: {dice(network, truth):.2f}" in said
    star = [(x + 90 * np.sin(4 * np.pi * k / 5), y - 90 * np.cos(4 * np.pi * k / 5)) for k in range(5)]
    find.press("Clear")
    assert not find.result.is_displayed()
    find.draw(star)
    find.press("Show the answer")
    oracle = np.zeros((height, width), np.uint8)
    cv2.fillPoly(oracle, [np.round(np.array(star) - 0.5).astype(np.int32)], 1)  # even-odd, with borders
    wrong = find.mask() != oracle
    assert not oracle[round(y), round(x)]  # the star's middle is out
    assert not (wrong & ~border(oracle)).any()
    assert record.text == said

    # Outlines add up, where they overlap, too; Undo takes the last.
    find.press("Clear")
    find.draw([(10, 10), (60, 10), (60, 60), (10, 60)])
    find.draw([(40, 40), (90, 40), (90, 90), (40, 90)])
    find.press("Show the answer")
    both = np.zeros((height, width), np.uint8)
    both[10:60, 10:60] = both[40:90, 40:90] = 1
    np.testing.assert_array_equal(find.mask(), both)
    assert "no pixel in common" in find.result.text
    find.press("Undo")
    find.press("Show the answer")
    assert find.mask().sum() == 50 * 50


def test_the_network_marks_what_polyp_marks(find, shipped):
    """One polyp, several, a region of which the second look is not sure, and a drawn frame."""
    (image,), (mask,) = make_sequence(seed=1, sequence=1, frames=1)
    record = find.place.find_element(By.CSS_SELECTOR, ".lab-record").text
    for name in ("tiny", "bright", "many"):  # of quick clicks the last counts
        find.pick(name)
    for name in ("many", "stalk", "a drawn frame, number 2", "flat"):
        if name != "many":
            find.pick(name)
        find.press("Just show me")  # before the network is done: the answer follows
        drawn = name.startswith("a drawn")
        truth = mask > 0 if drawn else truth_of(name)
        found = shipped.predict(image if drawn else SAMPLE / "images" / f"{name}.jpg").mask
        until(find.result.is_displayed)
        network = find.mask("labNetworkMask")
        assert dice(network, found) > 0.995, name
        assert dice(network, truth) == pytest.approx(dice(found, truth), abs=0.005), name
        assert find.table["Dice"] == [round(dice(network, truth), 2)]
        if name == "many":
            count, regions = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
            missed = count - len({0, *regions[network > 0].tolist()})
            assert f"missed {missed} of the expert's {count - 1} regions altogether" in find.result.text
        assert find.script(f"{PART}.dataset.ready") == ("synthetic_2" if drawn else name)
    assert find.place.find_element(By.CSS_SELECTOR, ".lab-record").text == record  # no guess


def test_by_keyboard_alone(find):
    find.driver.execute_script("document.querySelector('[data-part=find] input[type=file]').focus()")
    keys = ActionChains(find.driver)
    keys.send_keys(Keys.TAB).perform()
    assert find.driver.switch_to.active_element == find.canvas
    scrolled = find.script("scrollY")

    def far(*arrows):
        keys.key_down(Keys.SHIFT).send_keys(*arrows).key_up(Keys.SHIFT).perform()

    def near(*pressed):
        keys.send_keys(*pressed).perform()

    far(Keys.LEFT, Keys.UP)  # from the middle, (256, 218), by 32
    near(Keys.ENTER)
    far(Keys.RIGHT, Keys.RIGHT)
    near(Keys.SPACE)
    far(Keys.DOWN, Keys.DOWN)
    near(Keys.ENTER, Keys.DOWN, Keys.ENTER, Keys.BACKSPACE, Keys.UP)  # a corner too many, taken away
    far(Keys.LEFT, Keys.LEFT)
    near(Keys.ENTER)
    assert "Corner 4 at 224, 250" in find.status
    near(
        "c", Keys.UP, Keys.ENTER, Keys.LEFT, Keys.ENTER, Keys.DOWN, Keys.ENTER
    )  # half a square of 4, beside it
    assert "Corner 3 at 220, 250" in find.status
    assert find.script("scrollY") == scrolled
    near(Keys.TAB, Keys.TAB, Keys.TAB)
    assert find.driver.switch_to.active_element.text == "Show the answer"
    near(Keys.ENTER)
    mask = find.mask()
    square = np.zeros_like(mask)
    square[186:250, 224:288] = 1
    assert not (square & ~mask).any()
    assert (mask.sum() - square.sum()) in range(1, 16)
    assert find.result.is_displayed()


def test_mouse_and_finger(find):
    corners = ((-50, -50), (50, -50), (50, 50), (-50, 50))  # pixels of the screen, from the canvas's middle

    def outlined(actions):
        find.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", find.canvas)
        scrolled = find.script("scrollY")
        actions.perform()
        assert find.script("scrollY") == scrolled  # a finger draws, it does not move the page
        find.press("Show the answer")
        mask = find.mask()
        find.press("Clear")
        return mask

    def drag(kind):
        chain = ActionBuilder(find.driver, mouse=PointerInput(kind, f"a {kind}"), duration=20)
        pointer = chain.pointer_action
        pointer.move_to(find.canvas, *corners[0]).pointer_down()
        for corner in corners[1:]:
            pointer.move_to(find.canvas, *corner)
        pointer.pointer_up()
        return chain

    by_mouse = outlined(drag("mouse"))
    scale = find.size[1] / find.script("arguments[0].getBoundingClientRect().width", find.canvas)
    assert by_mouse.sum() == pytest.approx((100 * scale) ** 2, rel=0.03)
    assert dice(outlined(drag("touch")), by_mouse) > 0.97
    clicks = ActionChains(find.driver, duration=20)
    for corner in corners:
        clicks.move_to_element_with_offset(find.canvas, *corner).click()
    assert dice(outlined(clicks), by_mouse) > 0.97


def test_pictures_of_ones_own(find, shipped, tmp_path):
    (tmp_path / "words.png").write_text("not a picture at all")
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(2501 * 20_000), 1)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    frame = Image.open(SAMPLE / "images" / "flat.jpg")
    glass = frame.convert("RGBA")
    glass.putalpha(128)
    glass.save(tmp_path / "glass.png")
    for name, words in (
        ("words", "not a picture"),
        ("huge", "20000 x 20000 pixels"),
        ("glass", "transparent"),
    ):
        find.choose(tmp_path / f"{name}.png")
        until(lambda words=words: words in find.status)
        find.press("Just show me")  # the picture before it is still there
        assert find.result.is_displayed()
        assert find.script(f"{PART}.dataset.ready") == "flat"

    blue, green, red = frame.split()
    Image.merge("RGB", (red, green, blue)).convert("RGBA").save(tmp_path / "opaque.png")
    frame.convert("L").save(tmp_path / "grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left
    frame.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    for name in ("grey.png", "turned.jpg", "opaque.png"):
        path = tmp_path / name
        find.choose(path)
        until(lambda name=name: name in find.place.find_element(By.TAG_NAME, "figcaption").text)
        expected = polyp.read_image(path)
        assert find.size == expected.shape[:2]
        assert np.abs(find.picture().astype(int) - expected).mean() < 1

    found = shipped.predict(tmp_path / "opaque.png")
    find.wait_for("opaque.png")
    square = [(200, 150), (300, 150), (300, 300), (200, 300)]
    find.draw(square)
    find.press("Show the answer")
    network = find.mask("labNetworkMask")
    agreement = dice(find.mask(), network)
    assert "red and blue" in found.doubt
    assert found.doubt in find.result.text
    assert (network != found.mask).mean() < 0.002
    assert f"your outline and the network's is {agreement:.2f}" in find.result.text
    assert find.table["Dice"] == [round(agreement, 2)]

    # A dropped file, and then a frame of the page, as if nothing had been.
    drop = """const box = document.querySelector('[data-part=find] .lab-own'), files = new DataTransfer();
    files.items.add(new File(['nonsense'], 'dropped.jpg'));
    box.dispatchEvent(new DragEvent('drop', {dataTransfer: files, cancelable: true}))"""
    find.driver.execute_script(drop)
    until(lambda: "not a picture" in find.status)
    find.pick("flat")
    find.wait_for("flat")
    find.press("Just show me")
    assert find.result.is_displayed()
