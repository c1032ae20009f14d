"""The site in a browser: it needs nobody else, fits a phone, moves, and can be read by everyone."""

import json

import pytest
from pages import NOTEBOOKS, PAGES, ROOT
from selenium.webdriver.support.ui import WebDriverWait

# One page of every kind
KINDS = [
    *("index", "lab", "notebooks/00_start_here", "notebooks/02_metrics", "results", "usage", "model-card"),
    *("notebooks/glossary", "data/index", "api/run", "search", "genindex"),
]
UNFOLD = "document.querySelectorAll('details').forEach(block => { block.open = true; });"
# What is wider than the screen and not inside something that scrolls by itself
TOO_WIDE = """
return [...document.querySelectorAll("main *")].filter(each => {
  if (each.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let above = each.parentElement; above.tagName !== "BODY"; above = above.parentElement)
    if (getComputedStyle(above).overflowX !== "visible") return false;
  return document.documentElement.scrollWidth > innerWidth;
}).map(each => each.tagName + " " + each.className);
"""
STUCK = """
return [...document.querySelectorAll("figure[id^=flipbook]")].flatMap(book => {
  const picture = book.querySelector("img");
  return [...book.querySelectorAll("input[type=range]")].map(knob => {
    const before = picture.src;
    for (const end of [knob.max, knob.min]) {
      if (picture.src !== before) break;
      knob.value = end;
      knob.dispatchEvent(new Event("input"));
    }
    return picture.src === before;
  });
});
"""
AXE = """
const [options, say] = arguments;
axe.run(document, {resultTypes: ["violations"], ...options}).then(found => say(found.violations.map(
  one => one.id + ": " + one.nodes.map(node => node.target.join(" ")).slice(0, 5).join("; "))));
"""


def requests(browser) -> list[str]:
    """The addresses that the browser asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent]


@pytest.fixture(scope="module")
def phone(browser):
    """The browser with the screen of a phone, 390 pixels wide."""
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get("about:blank")
    requests(browser)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("page", sorted(page.rpartition(".")[0] for page in PAGES.values()))
def test_a_page_stands_alone_fits_a_phone_and_moves(address, phone, page):
    phone.get(f"{address}{page}.html")
    phone.execute_script(UNFOLD)
    assert phone.execute_script(TOO_WIDE) == []
    stuck = phone.execute_script(STUCK)
    assert not any(stuck)
    if f"{page}.ipynb" in NOTEBOOKS:
        assert len(stuck) >= 1
    asked = requests(phone)
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    errors = [entry["message"] for entry in phone.get_log("browser") if entry["level"] == "SEVERE"]
    assert [error for error in errors if "favicon.ico" not in error] == []


@pytest.mark.parametrize("page", KINDS)
def test_everyone_can_read_it(address, browser, page):
    """axe-core finds nothing, in light and in dark."""
    browser.get(f"{address}{page}.html")
    browser.execute_script(UNFOLD)
    browser.execute_script((ROOT / "docs" / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
    for theme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):  # nothing else differs
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        assert browser.execute_async_script(AXE, rules) == [], theme


def test_the_search_finds(address, browser):
    browser.get(f"{address}search.html?q=Amdahl")
    found = (
        "return [...document.querySelectorAll('#search-results a')].map(a => a.getAttribute('href')).join()"
    )
    assert "glossary.html" in WebDriverWait(browser, 30).until(lambda b: b.execute_script(found))
