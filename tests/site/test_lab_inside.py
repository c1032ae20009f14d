"""The laboratory's third part: the grid, its wires, the nodes' maps and their receptive fields."""

import copy
import io
import json
import re
from contextlib import contextmanager
from urllib.parse import urljoin
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from torch import nn

from tests.site.serving import array, failures, open_lab, until

PART = "document.querySelector('[data-part=inside] .lab-live')"
DEPTH = 4


class Page:
    """The part as a reader's hands and eyes have it, and the files behind it."""

    def __init__(self, browser, address):
        self.browser = browser
        self.files = urljoin(address, "_static/lab/")
        self.facts = json.loads(self.read("network.json"))
        self.frames = {row["name"]: row for row in json.loads(self.read("frames.json"))}
        self.wires = [(tuple(wire["source"]), tuple(wire["target"])) for wire in self.facts["wires"]]

    def read(self, name):
        with urlopen(urljoin(self.files, name)) as answer:
            return answer.read()

    def picture(self, name):
        return np.array(Image.open(io.BytesIO(self.read(name))))

    def js(self, expression):
        return self.browser.execute_script(f"const part = {PART}; return {expression}")

    def floats(self, expression):
        return array(self.browser, expression, np.float32, self.find(".lab-live"))

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, f"[data-part=inside] {selector}")

    def text(self, selector):
        return self.find(selector).text

    def settle(self):
        until(lambda: self.js("part.ariaBusy") == "false")

    def press(self, element, *keys):
        """Focus without a pointer, and type."""
        self.browser.execute_script("arguments[0].focus({preventScroll: true})", element)
        ActionChains(self.browser).send_keys(*keys).perform()

    def button(self, label):
        """A button by its label, where no bar at the top of the page lies over it."""
        buttons = self.browser.find_elements(By.TAG_NAME, "button")
        (found,) = [one for one in buttons if one.text == label]
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def choose(self, node):
        """A node by the keyboard: to the grid by Tab's place, along it by arrows, Enter."""
        i, j = (int(part) for part in node.split("_"))
        here = self.find(".lab-node[tabindex='0']")
        at_i, at_j = (int(part) for part in here.get_attribute("data-node").split("_"))
        keys = (
            [Keys.ARROW_LEFT] * at_j + [Keys.ARROW_UP] * at_i + [Keys.ARROW_DOWN] * i + [Keys.ARROW_RIGHT] * j
        )
        self.press(here, *keys, Keys.ENTER)
        assert self.find(".lab-node[aria-pressed='true']").get_attribute("data-node") == node

    def toggle(self, number):
        self.press(self.find(f"[data-toggle='{number}'] input"), Keys.SPACE)
        self.settle()

    def join(self):
        if 0 in self.js("[...(part.labGates ?? [0])]"):
            self.button("Join all wires").click()
            self.settle()

    def cut(self):
        return {self.wires[n] for n, gate in enumerate(self.js("[...part.labGates]")) if gate == 0}


@pytest.fixture(scope="module")
def opened(browser, lab_address):
    open_lab(browser, lab_address)
    page = Page(browser, lab_address)
    page.js("part.scrollIntoView()")
    page.settle()
    # from here on every request to the network is counted
    browser.execute_script(
        "window.asked = 0; const ask = Worker.prototype.postMessage;"
        "Worker.prototype.postMessage = function (...given) {"
        "  asked += given[0].kind === 'inside'; return ask.apply(this, given); }"
    )
    return page


@pytest.fixture
def page(opened):
    """The part, the first frame in it, all wires joined."""
    opened.join()
    failures(opened.browser)
    yield opened
    assert failures(opened.browser) == []


@pytest.fixture
def image(page):
    """What the network sees of the first frame, as torch wants it."""
    row = next(iter(page.frames.values()))
    return torch.from_numpy(page.picture(row["seen"])).permute(2, 0, 1)[None]


@contextmanager
def wires_cut(model, wires, deaf=torch.zeros_like):
    """PyTorch's network without these wires: what they bring is replaced by zeros (or by `deaf` of it)."""

    def hook(source, target):
        def replace(block, inputs):
            (features,) = inputs
            if target[1] == 0:
                return deaf(features)
            if source[0] > target[0]:
                begin, end = features.shape[1] - channels[source], features.shape[1]
            else:
                begin = sum(channels[source[0], k] for k in range(source[1]))
                end = begin + channels[source]
            before, part, after = features[:, :begin], features[:, begin:end], features[:, end:]
            return torch.cat([before, deaf(part), after], dim=1)

        return model.nodes[f"{target[0]}_{target[1]}"].register_forward_pre_hook(replace)

    channels = {}
    for name, node in model.nodes.items():
        convolutions = [part for part in node.modules() if isinstance(part, nn.Conv2d)]
        channels[tuple(int(one) for one in name.split("_"))] = convolutions[-1].out_channels
    hooks = [hook(*wire) for wire in wires]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


@contextmanager
def outputs_of(model, nodes):
    found = {}
    hooks = [
        model.nodes[name].register_forward_hook(
            lambda block, given, out, name=name: found.update({name: out})
        )
        for name in nodes
    ]
    try:
        yield found
    finally:
        for one in hooks:
            one.remove()


def assert_same_logits(page, level, expected):
    found = page.floats(f"part.labLogits[{level - 1}]").reshape(page.facts["size"])
    expected = expected[0, 0].numpy()
    assert abs(found - expected).max() <= 1e-3 * abs(expected).max()


def dice_of(logits, truth):
    large = cv2.resize(logits[0, 0].numpy(), truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    mask = large > 0  # a probability above 0.5
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@torch.inference_mode()
def test_the_whole_network_answers_as_pytorchs_does_and_so_do_its_nodes(page, model, image):
    asked = page.browser.execute_script("return window.asked")
    with outputs_of(model, ("0_4", "2_1", "4_0")) as expected:
        levels = model(image)
    truth = page.picture(next(iter(page.frames.values()))["mask"]) > 127
    for level, logits in enumerate(levels, 1):
        assert_same_logits(page, level, logits)
        name = page.find(f".lab-head[data-head='{level}']").get_attribute("aria-label")
        assert abs(float(name.removeprefix(f"L{level}: Dice ")) - dice_of(logits, truth)) < 0.0051
    for node, maps in expected.items():
        page.choose(node)
        channels, height, width = maps.shape[1:]
        assert page.text(".lab-node-title").startswith(
            f"X[{node[0]}][{node[2]}]: {channels} channels of {height} x "
        )
        shown = page.js("part.labMaps.map(({number}) => number)")
        strengths = maps[0].std((1, 2), correction=0)
        assert len(shown) == 12
        assert set(shown) == set(strengths.topk(12).indices.tolist())
        for k, number in enumerate(shown):
            expected_map = maps[0, number].numpy()
            found = page.floats(f"part.labMaps[{k}].values").reshape(height, width)
            assert abs(found - expected_map).max() <= 1e-3 * max(abs(expected_map).max(), 1)
        page.press(page.find(f"[data-channel='{shown[3]}']"), Keys.ENTER)
        assert page.find(".lab-map[aria-pressed='true']").get_attribute("data-channel") == str(shown[3])
        assert f"channel {shown[3]} of " in page.find(".lab-field-stage canvas").get_attribute("aria-label")
    assert page.browser.execute_script("return window.asked") == asked, "looking at nodes runs nothing"


@torch.inference_mode()
def test_a_cut_wire_is_one_that_brings_zeros(page, model, image):
    truth = page.picture(next(iter(page.frames.values()))["mask"]) > 127
    whole = previous = model(image)[-1]

    def check(wires):
        with wires_cut(model, wires):
            expected = model(image)[-1]
        assert page.cut() == set(wires)
        assert abs(expected - previous).max() > 1e-2 * abs(expected).max(), "this wire matters"
        assert_same_logits(page, DEPTH, expected)
        scores = [dice_of(logits, truth) for logits in (whole, expected)]
        told = re.search(
            r"Dice of L4 (?:falls|rises|stays) (?:from ([\d.]+) to|at) ([\d.]+\d)", page.text(".lab-status")
        )
        assert abs(float(told[1] or told[2]) - scores[0]) < 0.0051
        assert abs(float(told[2]) - scores[1]) < 0.0051
        return expected

    wire = ((0, 0), (0, 1))
    number = page.wires.index(wire)
    ActionChains(page.browser).move_to_element(page.find(f"[data-wire='{number}'] .lab-hit")).perform()
    assert page.text(".lab-looking-at") == "X[0][0] → X[0][1]: joined; click to cut it."
    ActionChains(page.browser).click().perform()
    page.settle()
    assert page.text(".lab-status").startswith("X[0][0] → X[0][1] is cut: the Dice of L4 ")
    assert "lab-cut" in page.find(f"[data-wire='{number}']").get_attribute("class")
    cut = [wire]
    previous = check(cut)
    # long skips, the encoder, up: each is cut besides those before
    for wire in [((1, 0), (1, 3)), ((0, 0), (0, 4)), ((3, 0), (4, 0)), ((1, 0), (2, 0)), ((1, 3), (0, 4))]:
        page.choose("{}_{}".format(*wire[1]))
        page.toggle(page.wires.index(wire))
        cut.append(wire)
        assert page.text(".lab-status").startswith(f"{len(cut)} of 34 wires are cut: the Dice of L4 ")
        previous = check(cut)


@torch.inference_mode()
def test_the_buttons_cut_what_they_say(page, model, image):
    def press(label):
        page.press(page.button(label), Keys.ENTER)
        page.settle()
        return page.cut()

    long = {(a, b) for a, b in page.wires if a[0] == b[0] and b[1] - a[1] > 1}
    assert press("Cut all long skips") == long
    assert len(long) == 10
    assert press("Cut the encoder below row 2") == {((2, 0), (3, 0)), ((3, 0), (4, 0))}
    kept = [((i, 0), (i + 1, 0)) for i in range(DEPTH)]
    for i in range(DEPTH):
        kept += [((i, 0), (i, DEPTH - i)), ((i + 1, DEPTH - i - 1), (i, DEPTH - i))]
    cut = press("Only the wires of a U-Net")
    assert cut == set(page.wires) - set(kept)
    assert len(cut) == 34 - 12
    with wires_cut(model, cut):
        assert_same_logits(page, DEPTH, model(image)[-1])
    deaf = page.js("[...part.querySelectorAll('.lab-node.lab-deaf')].map((one) => one.dataset.node)")
    assert set(deaf) == {"0_1", "0_2", "0_3", "1_1", "1_2", "2_1"}
    page.choose("1_1")
    assert "Every way from the frame" in page.text(".lab-node-panel")
    assert page.js("part.querySelector('.lab-field').hidden")


def test_the_receptive_fields_are_where_gradients_are(page, model, monkeypatch):
    linear = copy.deepcopy(model)
    for block in linear.modules():
        for name, part in block.named_children():
            if isinstance(part, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):
                setattr(block, name, nn.Identity())
        if isinstance(block, nn.Conv2d):  # all positive: nothing can cancel
            block.weight.data.fill_(1 / (block.weight[0].numel() / block.kernel_size[0]))
    monkeypatch.setattr(torch.nn.functional, "relu6", lambda x: x)
    frame = torch.rand(1, 3, *page.facts["size"], requires_grad=True)
    stage = page.find(".lab-field-stage canvas")
    page.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)

    def compare(node, output, across, down):
        page.choose(node)
        offset = [
            round((share - 0.5) * stage.size[side]) for share, side in ((across, "width"), (down, "height"))
        ]
        ActionChains(page.browser).move_to_element_with_offset(stage, *offset).perform()
        page.press(stage, Keys.ARROW_RIGHT, Keys.ARROW_UP)
        found = page.js("part.labField")
        value = output[0, :, found["row"], found["column"]].sum()
        (gradient,) = torch.autograd.grad(value, frame, retain_graph=True)
        rows, columns = (gradient[0] != 0).any(0).numpy().nonzero()
        assert found["rows"] == [rows.min(), rows.max()], node
        assert found["columns"] == [columns.min(), columns.max()], node
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert len(rows) == height * width, "no holes: a full rectangle"
        words = page.text(".lab-field-text")
        assert f"{width} x {height} pixels" in words or (
            width * height == frame[0, 0].numel() and "every pixel" in words
        )

    places = {"1_0": (0.31, 0.77), "2_0": (0.5, 0.5), "0_1": (0.42, 0.13), "1_1": (0.9, 0.52)}
    places |= {"0_2": (0.47, 0.55), "3_0": (0.02, 0.9), "2_1": (0.97, 0.1)}
    for part in linear.parameters():
        part.requires_grad_(False)
    with outputs_of(linear, places) as outputs:
        linear.head_logits(frame * 1.0, 3)
    for node, (across, down) in places.items():
        compare(node, outputs[node], across, down)
    wire = ((2, 0), (1, 1))
    page.choose("1_1")
    page.toggle(page.wires.index(wire))
    with wires_cut(linear, [wire], torch.Tensor.detach), outputs_of(linear, ["1_1"]) as outputs:
        linear.head_logits(frame * 1.0, 2)
    compare("1_1", outputs["1_1"], 0.6, 0.4)


def test_the_last_click_counts(page):
    frames = page.browser.find_elements(By.CSS_SELECTOR, "[data-part=inside] .lab-frame")
    page.browser.execute_script(
        "for (const one of arguments) one.click()",
        page.button("Cut all long skips"),
        frames[2],
        page.button("Only the wires of a U-Net"),
        frames[13],
        page.button("Join all wires"),
        frames[0],
    )
    page.settle()
    assert page.cut() == set()
    assert page.text(".lab-status").startswith("All 34 wires are joined: the Dice of L4 is ")
    canvas = page.find(".lab-field-stage canvas").get_attribute("aria-label")
    assert canvas.endswith(next(iter(page.frames.values()))["title"])
    assert frames[0].get_attribute("aria-pressed") == "true"


def test_what_is_pointed_at_is_told_and_runs_nothing(page):
    asked = page.browser.execute_script("return window.asked")
    ActionChains(page.browser).move_to_element(page.find("[data-node='1_2']")).perform()
    assert page.text(".lab-looking-at") == "X[1][2] reads X[1][0], X[1][1] and, enlarged, X[2][1]."
    read = page.js("[...part.querySelectorAll('.lab-read')].map((one) => Number(one.dataset.wire))")
    assert {page.wires[n] for n in read} == {((1, 0), (1, 2)), ((1, 1), (1, 2)), ((2, 1), (1, 2))}
    page.press(page.find(".lab-node[tabindex='0']"), Keys.ARROW_UP)
    ActionChains(page.browser).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN).perform()
    page.press(page.find(".lab-choice input"), Keys.SPACE)
    assert "L1" in page.find(".lab-head.lab-picked").get_attribute("aria-label")
    assert "the Dice of L1 is" in page.text(".lab-status")
    page.find(f".lab-head[data-head='{DEPTH}'] image").click()
    assert "the Dice of L4 is" in page.text(".lab-status")
    assert page.browser.execute_script("return window.asked") == asked
    names = page.js("[...part.querySelectorAll('svg [role]')].map((one) => one.getAttribute('aria-label'))")
    assert len(names) == 15 + 5
    assert all(names)
    assert (
        page.js("part.querySelector('svg').getAttribute('aria-label')")
        == "The nested grid: 15 nodes, 34 wires, 4 heads"
    )
    assert page.js("[...part.querySelectorAll('.lab-node image')].every((one) => one.getAttribute('href'))")
    assert page.js("part.querySelectorAll('.lab-node[tabindex=\"0\"]').length") == 1
    assert page.js("document.documentElement.scrollWidth <= innerWidth")


def test_ones_own_picture_and_a_file_that_is_none(page, tmp_path):
    chooser = page.find("input[type=file]")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    chooser.send_keys(str(tmp_path / "broken.png"))
    until(lambda: "That did not work" in page.text(".lab-status"))
    assert page.find(".lab-frame").get_attribute("aria-pressed") == "true", "the frame that was there"
    pixels = np.random.default_rng(0).integers(0, 256, (200, 330, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    chooser.send_keys(str(tmp_path / "own.png"))
    page.settle()
    assert page.text(".lab-status").startswith(
        "All 34 wires are joined: the share of the frame that L4 marks is "
    )
    assert page.find(".lab-head[data-head='4']").get_attribute("aria-label").startswith("L4: marks ")
    page.button("Cut all long skips").click()
    page.settle()
    assert page.text(".lab-status").startswith(
        "10 of 34 wires are cut: the share of the frame that L4 marks "
    )
