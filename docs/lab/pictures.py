"""Take the laboratory's pictures from the built page: `python docs/lab/pictures.py [build/site]`.

It writes docs/lab/stills/, one picture per part, for readers without JavaScript, and docs/laboratory.gif, the
moving picture of the front pages. Run it after a change of what the parts look like.
"""

import functools
import http.server
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS))
from browsing import open_browser  # noqa: E402

WIDTH = 1300  # of the window, in pixels of the page
STILL, MOVING = 900, 660  # the pictures' width in pixels
COLOURS = 256  # of the moving picture
MARGIN = 14  # around the moving picture, in pixels
SLOW, QUICK = 2600, 1500  # milliseconds for one of its pages

# What is done to each part before its still is taken, and what then is true.
STAGED = {
    "find": (
        "part.querySelectorAll('.lab-frame')[4].click(); label('Just show me').click()",
        "!part.querySelector('.lab-result').hidden",
    ),
    "knobs": (
        "const slider = part.querySelector('[data-knob=threshold] input'); slider.value = 0.3;"
        "slider.dispatchEvent(new Event('input'))",
        "part.querySelector('.lab-live')?.dataset.busy === 'false'",
    ),
    "inside": ("", "part.textContent.includes('wires are joined')"),
    "fooled": (
        "when('Your bet?', () => { part.querySelector('[aria-label*=flower]').click();"
        "  when('Your bet?', () => label('Yes, it will').click()); })",
        "part.textContent.includes('Your bet was')",
    ),
    "scores": (
        "label('Run the network').click(); when('has looked at', () => {"
        "  part.querySelectorAll('li input')[3].click(); label('Show the scores').click(); })",
        "part.querySelector('.lab-open')",
    ),
}
# The story of the moving picture: a script, a text that then is there, and how long the page is shown.
STORY = [
    ("", "wires are joined", SLOW),
    ("wire([0, 0], [0, 4])", "is cut: the Dice", QUICK),
    ("wire([1, 3], [0, 4])", "2 of 34 wires are cut", SLOW),
    ("label('Join all').click()", "wires are joined", QUICK),
    ("label('Only the wires of a U-Net').click()", "22 of 34 wires are cut", SLOW),
    ("label('Join all').click()", "wires are joined", QUICK),
    ("level('L1')", "the Dice of L1 is", QUICK),
    ("level('L2')", "the Dice of L2 is", QUICK),
    ("level('L3')", "the Dice of L3 is", QUICK),
    ("level('L4')", "the Dice of L4 is", SLOW),
]
TOOLS = """
const part = document.querySelector(`[data-part=${arguments[0]}]`);
const named = (tag, text) =>
  [...part.querySelectorAll(tag)].find((one) => one.textContent.trim().startsWith(text));
const label = (text) => named("button", text);
const when = (text, act) => {
  const clock = setInterval(() => {
    if (!part.textContent.includes(text)) return;
    clearInterval(clock);
    act();
  }, 50);
};
const level = (name) => named("label", name).click();
const wire = (...ends) => {
  const number = laboratory.facts.wires.findIndex((one) => `${one.source};${one.target}` === ends.join(";"));
  part.querySelector(`[data-wire="${number}"] .lab-hit`).dispatchEvent(new Event("click", { bubbles: true }));
};
"""


class Silent(http.server.SimpleHTTPRequestHandler):
    """A server that does not tell of each request."""

    def log_message(self, *args) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which a folder is served."""
    handler = functools.partial(Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def act(browser: Chrome, part: str, script: str, then: str) -> None:
    """Do something to a part, and wait until something is true of it."""
    browser.execute_script(f"{TOOLS} part.scrollIntoView(); {script}", part)
    WebDriverWait(browser, 120, 0.1).until(lambda it: it.execute_script(f"{TOOLS} return {then}", part))
    browser.execute_async_script("setTimeout(arguments[0], 400)")  # until it is drawn


def picture(browser: Chrome, selector: str, width: int) -> Image.Image:
    """What an element looks like, at a width in pixels."""
    element = browser.find_element("css selector", selector)
    drawn = Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")
    return drawn.resize((width, round(drawn.height * width / drawn.width)), Image.Resampling.LANCZOS)


def main() -> None:
    site = Path(sys.argv[1] if len(sys.argv) > 1 else DOCS.parent / "build" / "site")
    (DOCS / "lab" / "stills").mkdir(exist_ok=True)
    with served(site) as address, open_browser() as browser:
        size = {"width": WIDTH, "height": 2400, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"{address}/lab.html")
        WebDriverWait(browser, 60).until(
            lambda it: it.execute_script("return document.documentElement.dataset.lab")
        )
        pages = []
        for script, text, _ in STORY:
            act(browser, "inside", script, f"part.textContent.includes({text!r})")
            pages.append(picture(browser, "[data-part=inside] .lab-inside", MOVING))
        save_moving(pages, [shown for *_, shown in STORY], DOCS / "laboratory.gif")
        for part, (script, then) in STAGED.items():
            act(browser, part, script, then)
            still = picture(browser, f"[data-part={part}]", STILL)
            still.save(DOCS / "lab" / "stills" / f"{part}.jpg", quality=80, optimize=True)


def save_moving(pages: list[Image.Image], shown: list[int], path: Path) -> None:
    """Write an animated GIF; with one palette for all pages, what does not move does not flicker."""
    height = max(page.height for page in pages)
    paper = pages[0].getpixel((0, pages[0].height - 1))
    same = [Image.new("RGB", (page.width + 2 * MARGIN, height + 2 * MARGIN), paper) for page in pages]
    for canvas, page in zip(same, pages, strict=True):
        canvas.paste(page, (MARGIN, MARGIN))
    whole = Image.new("RGB", (same[0].width, same[0].height * len(same)))
    for number, canvas in enumerate(same):
        whole.paste(canvas, (0, number * canvas.height))
    palette = whole.quantize(COLOURS, Image.Quantize.FASTOCTREE)
    drawn = [canvas.quantize(palette=palette, dither=Image.Dither.NONE) for canvas in same]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=shown, loop=0, optimize=True)


if __name__ == "__main__":
    main()
