"""The laboratory as a whole: its logits, its loading, and what it says when it cannot work."""

import base64
import re
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import polyp
from polyp.data.familiar import figures
from tests.site.serving import TO_BASE64, failures, injected, wait_for

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
STEP = 5  # every fifth row and column is compared: 5,000 of 124,000 logits


def evaluate(browser, script: str, *given):
    """What an asynchronous piece of JavaScript returns, an error included."""
    wrapped = (
        "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);"
        f"{TO_BASE64} (async () => {{ {script} }})().then(done, (error) => done({{ error: String(error) }}));"
    )
    browser.set_script_timeout(120)
    answer = browser.execute_async_script(wrapped, *given)
    assert not (isinstance(answer, dict) and "error" in answer), answer
    return answer


def test_logits_are_those_of_pytorch(lab, model):
    """All levels, on the page's 19 pictures and on noise."""
    sent = evaluate(
        lab,
        """
        const { network, facts, frames, base } = laboratory;
        const [height, width] = facts.size;
        const seen = await Promise.all(frames.map(async (frame) => {
          const bitmap = await createImageBitmap(await (await fetch(new URL(frame.seen, base))).blob());
          const context = new OffscreenCanvas(width, height).getContext("2d");
          context.drawImage(bitmap, 0, 0);
          const rgba = context.getImageData(0, 0, width, height).data;
          return rgba.filter((_, i) => i % 4 < 3);
        }));
        seen.push(Uint8Array.from(seen[0], (_, i) => (i * 2654435761) % 251));
        const found = [];
        for (const pixels of seen) {
          const { levels } = await network.inside(pixels);
          const some = levels.map((logits) => logits.filter((_, i) =>
            Math.floor(i / width) % given[0] === 0 && (i % width) % given[0] === 0));
          found.push([pixels, ...some].map(toBase64));
        }
        return found;
        """,
        STEP,
    )
    assert len(sent) == 20
    worst = 0.0
    for pixels, *levels in sent:
        image = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(352, 352, 3)
        batch = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        with torch.inference_mode():
            wanted = [logits[0, 0, ::STEP, ::STEP].numpy() for logits in model(batch)]
        for ours, theirs in zip(levels, wanted, strict=True):
            logits = np.frombuffer(base64.b64decode(ours), np.float32).reshape(theirs.shape)
            worst = max(worst, float(np.abs(logits - theirs).max()))
    print(f"largest difference of 20 frames and 4 levels: {worst:.1e}")
    assert worst <= 1e-3


def test_a_cut_network_is_the_whole_one_s_head(lab):
    """The graphs of the levels, which compute only what they need."""
    worst = evaluate(
        lab,
        """
        const { network, facts } = laboratory;
        const pixels = new Uint8Array(3 * facts.size[0] * facts.size[1]).map((_, i) => (i * 31) % 256);
        const { levels } = await network.inside(pixels);
        const gaps = [];
        for (const { level } of facts.levels) {
          const { logits } = await network.look(pixels, level);
          const other = levels[level - 1];
          gaps.push(logits.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i])), 0));
        }
        return gaps;
        """,
    )
    assert len(worst) == 4
    assert max(worst) <= 1e-3


def test_loads_little_from_here_alone(browser, lab_address):
    start = time.perf_counter()
    browser.get(lab_address)
    wait_for(browser, "return document.documentElement.dataset.lab === 'ready'")
    evaluate(
        browser, "const { network, facts } = laboratory; await network.look(new Uint8Array(3 * 352 * 352));"
    )
    seconds = time.perf_counter() - start
    entries = browser.execute_script(
        "return performance.getEntries().filter((e) => e.name.startsWith('http'))"
        ".map((e) => [e.name, e.transferSize || e.encodedBodySize || 0])"
    )
    host = lab_address.split("/")[2]
    assert [name for name, _ in entries if name.split("/")[2] != host] == []
    files = {Path(name).name for name, _ in entries}
    megabytes = sum(size for _, size in entries) / 1e6
    facts = browser.execute_script("return laboratory.facts.bytes") / 1e6  # a worker's requests are its own
    print(f"from link to first logits {seconds:.1f} s; {megabytes + facts:.1f} MB; {sorted(files)}")
    assert megabytes + facts <= 25
    assert failures(browser) == []


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        ("delete globalThis.WebAssembly", "it lacks WebAssembly)"),
        ("globalThis.Worker = globalThis.OffscreenCanvas = undefined", "lacks Worker and OffscreenCanvas)"),
    ],
)
def test_a_browser_that_cannot_says_so(browser, lab_address, break_it, says):
    with injected(browser, break_it):
        browser.get(lab_address)
        assert wait_for(browser, "return document.documentElement.dataset.lab") == "failed"
    assert says in browser.execute_script("return document.querySelector('.lab-loading').textContent")
    shown = browser.execute_script("return document.querySelectorAll('.lab-part > img').length")
    assert shown == 5  # the still pictures stay


@pytest.mark.parametrize(
    "missing", ["worker.js", "weights.bin.gz", "network.json", "frames.json", "level_4.onnx.gz"]
)
def test_a_file_that_does_not_come_is_named(browser, server, lab_address, missing):
    server.missing.add(missing)
    try:
        browser.get(lab_address)
        wait_for(browser, "return document.documentElement.dataset.lab === 'failed'")
        line = browser.execute_script("return document.querySelector('.lab-loading').textContent")
        assert missing in line
        assert "Reload the page" in line
        assert browser.execute_script("return document.querySelectorAll('.lab-part > img').length") == 5
    finally:
        server.missing.clear()
        failures(browser)  # the 404


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(5))
def test_the_snippets_run(number, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = polyp.read_image(polyp.find_dataset("sample") / "images" / "glossy.jpg")
    mask = polyp.read_image(polyp.find_dataset("sample") / "masks" / "glossy.png")
    cv2.imwrite("frame.png", image[..., ::-1])
    for folder in ("masks", "truth"):
        Path(folder).mkdir()
        cv2.imwrite(f"{folder}/glossy.png", mask)
    namespace: dict = {}
    exec(snippets()[number], namespace)
    if number == 0:  # its last line is an expression
        assert eval(snippets()[0].splitlines()[-1], namespace).shape == image.shape
    elif number == 2:  # the wire that it cuts is worth something
        probs = namespace["probs"]
        assert probs.shape == image.shape[:2]
        whole = polyp.predict_probs(model, image, (352, 352))
        assert np.abs(whole - probs).max() > 0.1
    else:
        assert capsys.readouterr().out.strip()


def test_there_is_one_snippet_for_each_part():
    parts = re.findall(r'data-part="(\w+)"', PAGE.read_text())
    assert parts == ["find", "knobs", "inside", "fooled", "scores"]
    assert len(snippets()) == 5


def test_the_numbers_in_its_words_are_true(frames):
    words = " ".join(PAGE.read_text(encoding="utf-8").split())
    kinds = Counter(frame.kind for frame in frames.values())
    assert kinds["clean"] == 3
    assert kinds["real"] + kinds["clean"] == 15
    assert "Three of the 15 frames are *clean*" in words
    assert len(figures(frames["flat"].image)) == 21
    assert "21 simple measurements" in words
