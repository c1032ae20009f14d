"""Part 5 of the laboratory: ten conventions, against `polyp.score` on the same maps."""

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import polyp
from polyp.run.engines import SHIPPED_ONNX, OnnxEngine
from tests.site.serving import failures, injected, open_lab, until

NAMES = ("large", "stalk", "glossy", "fold", "clean_fold", "clean_tiny")  # the last is left clean
# The page sees these frames alone, so that the network has less to do.
FEW = f"""
const all = window.fetch;
window.fetch = async (address, options) => {{
  const answer = await all(address, options);
  if (!String(address).endsWith("frames.json")) return answer;
  const rows = (await answer.json()).filter(({{ name }}) => {list(NAMES)}.includes(name));
  return new Response(JSON.stringify(rows));
}};
"""
# A network of levels 1 to 4 that marks all, nothing, all, nothing; slow at its third look where
# `window.slow`, so that it can be stopped there; it breaks where `window.broken`.
QUICK = """
Worker.prototype.postMessage = function ({ id, kind, base, level }) {
  const look = { logits: new Float32Array(352 * 352).fill(level % 2 ? 9 : -9), milliseconds: 0 };
  const load = async () => (await fetch(new URL("network.json", base))).json();
  window.looks = (window.looks ?? 0) + (kind === "look");
  const data = { id, answer: kind === "load" ? load() : look };
  setTimeout(async () => {
    data.answer = await data.answer;
    this.onmessage({ data: window.broken ? { id, error: "out of memory" } : data });
  }, window.slow && window.looks === 3 ? 3000 : 20);
};
"""


def open_part(browser, address, source):
    with injected(browser, source):
        open_lab(browser, address)
    return Part(browser)


@pytest.fixture
def part(browser, lab_address):
    return open_part(browser, lab_address, FEW)


@pytest.fixture
def quick(browser, lab_address):
    return open_part(browser, lab_address, FEW + QUICK)


class Part:
    """The part as a reader sees it."""

    def __init__(self, browser):
        self.browser = browser
        self.place = browser.find_element(By.CSS_SELECTOR, "[data-part=scores]")
        browser.execute_script("arguments[0].scrollIntoView()", self.place)
        self.start, self.show = self.place.find_elements(By.CSS_SELECTOR, ".lab-buttons button")

    def find(self, selector):
        return self.place.find_element(By.CSS_SELECTOR, selector)

    @property
    def status(self):
        return self.find(".lab-status").text

    def click(self, element):
        """Click where no bar at the top of the page can be in the way."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def level(self, level):
        self.find(f".lab-choice input[value='{level}']").click()

    def run(self):
        self.click(self.start)
        self.wait_for_run()

    def wait_for_run(self):
        until(lambda: "has looked at" in self.status)

    def pick(self, name):
        self.find(f"input[value={name}]").click()

    def values(self):
        """Name -> value, in the order that is shown."""
        rows = self.place.find_elements(By.CSS_SELECTOR, "[data-convention]")
        value = "return arguments[0].querySelector('.lab-value').dataset.value"
        found = {
            row.get_attribute("data-convention"): self.browser.execute_script(value, row) for row in rows
        }
        return {name: float(value) for name, value in found.items() if value}

    @property
    def range(self):
        return self.find(".lab-range").text


def test_values_are_those_of_polyp_score(part, frames):
    frames = {name: frame for name, frame in frames.items() if name in NAMES}
    truth = {name: frame.mask for name, frame in frames.items()}
    expected = {}
    for level in (1, 4):
        engine = OnnxEngine(SHIPPED_ONNX, level)
        maps = {
            name: np.rint(255 * engine.probs(frame.image)).astype(np.uint8) for name, frame in frames.items()
        }
        table = polyp.score(maps, truth, values="0-255", resamples=1).table
        expected[level] = table[table["score"] == "dice"].set_index("convention")
    part.run()
    assert part.status.startswith("Level 4 has looked at 6 frames, 2 of them clean.")
    part.pick("pooled")
    part.click(part.show)
    found = {4: part.values()}
    part.level(1)
    part.run()
    found[1] = part.values()
    for level, values in found.items():
        assert len(values) == 10
        for name, value in values.items():
            assert value == pytest.approx(expected[level].loc[name, "value"], abs=0.002), (level, name)
    used_by = [text.text for text in part.place.find_elements(By.CSS_SELECTOR, "[data-convention] small")]
    assert used_by == [expected[4].loc[name, "used_by"] for name in found[4]]
    low, high = min(found[1].values()), max(found[1].values())
    assert part.range.startswith(f"The same maps: {low:.2f} to {high:.2f}.")


def test_nothing_is_shown_before_the_pick(quick):
    assert quick.show.get_attribute("aria-disabled") == "true"
    quick.click(quick.show)
    assert quick.status == "Run the network first."
    quick.run()
    assert quick.values() == {}
    assert quick.range == ""
    quick.click(quick.show)
    assert quick.status.startswith("First pick the convention")
    quick.pick("adaptive")
    assert quick.show.get_attribute("aria-disabled") == "false"
    quick.click(quick.show)
    assert len(quick.values()) == 10
    assert quick.find(".lab-pick:not(:empty)").text == "your pick"
    assert "Threshold of twice the map's mean" in quick.range
    assert not quick.find("input[value=pooled]").is_enabled(), "the pick stands"


def test_sorting_and_levels(quick):
    quick.run()
    quick.pick("pooled")
    quick.click(quick.show)
    in_order = list(quick.values())
    quick.find(".lab-toggle input").click()
    assert list(quick.values().values()) == sorted(quick.values().values(), reverse=True)
    quick.find(".lab-toggle input").click()
    assert list(quick.values()) == in_order
    # Level 4 marks nothing: the clean frames alone count, where they count as 1.
    assert quick.values()["image_mean_empty_1"] == pytest.approx(2 / 6)
    assert quick.values()["image_mean"] == quick.values()["pooled"] == 0
    quick.level(3)
    assert quick.values() == {}
    assert quick.status == "Level 3 has not run yet."
    quick.run()
    assert quick.values()["image_mean"] > 0
    assert quick.values()["image_mean_all"] == pytest.approx(quick.values()["image_mean"] * 4 / 6)
    assert 'Level 3 by "' in quick.range
    assert 'looks better than level 4 by "' in quick.range
    quick.level(4)
    assert quick.values()["image_mean"] == 0, "what has run is kept"


def test_running_twice_stopping_and_going_on(quick):
    looks = lambda: quick.browser.execute_script("return window.looks")  # noqa: E731
    quick.browser.execute_script("window.slow = true")
    quick.start.click()
    until(lambda: "frame 3 of 6" in quick.status)
    assert quick.start.text == "Stop"
    quick.start.click()
    assert quick.status == "Stopped. What is done is kept."
    quick.run()
    assert looks() <= 7, "one may be asked for twice, where it was stopped"
    done = looks()
    quick.run()
    assert looks() == done, "nothing is computed twice"
    quick.level(2)
    quick.start.click()
    quick.level(1)  # another network was meant
    assert quick.status == "Stopped. What is done is kept."
    quick.run()
    assert quick.status.startswith("Level 1 has looked")


def test_a_failing_network_is_a_sentence_and_all_goes_on(quick):
    quick.browser.execute_script("window.broken = true")
    quick.start.click()
    until(lambda: quick.status == "That did not work: out of memory")
    assert quick.start.text == "Run the network on the 6 frames"
    quick.browser.execute_script("window.broken = false")
    quick.run()


def test_by_keyboard_alone(quick):
    def press(*keys):
        ActionChains(quick.browser).send_keys(*keys).perform()

    quick.browser.execute_script("arguments[0].focus()", quick.find(".lab-choice input:checked"))
    press(Keys.LEFT)
    press(Keys.TAB)
    press(Keys.ENTER)
    quick.wait_for_run()
    assert quick.status.startswith("Level 3 has looked")
    press(Keys.TAB)  # to "Show the scores"
    press(Keys.TAB)
    press(Keys.SPACE)
    press(Keys.DOWN, Keys.DOWN)
    assert quick.values() == {}, "arrows only pick"
    ActionChains(quick.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    press(Keys.ENTER)
    assert len(quick.values()) == 10
    assert quick.browser.switch_to.active_element == quick.find(".lab-range"), "the focus is not lost"
    assert quick.find("[data-convention=image_mean_empty_1] .lab-pick").text == "your pick"
    press(Keys.TAB)
    press(Keys.SPACE)
    assert list(quick.values().values()) == sorted(quick.values().values(), reverse=True)


def test_no_error_in_the_console(quick):
    quick.run()
    quick.pick("pooled")
    quick.click(quick.show)
    assert failures(quick.browser) == []
