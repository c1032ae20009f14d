"""The benchmark's arithmetic, with clocks that are set by hand; a test does not judge speed."""

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from polyp.__main__ import main
from polyp.config import Config, configure
from polyp.course import bench as module
from polyp.course.bench import bench, files, growth, inference, loading, processes, training, turns
from polyp.course.bench.turns import Plan, take_turns
from polyp.data.dataset import open_part

QUICK = Plan(True, torch.device("cpu"))


def test_the_sides_take_turns_and_the_first_turn_does_not_count(monkeypatch):
    seconds = {"ours": iter([9, 1, 2, 4]), "plain": iter([9, 3, 4, 20])}
    order = []

    def clock(work):
        order.append(work)
        return next(seconds[work])

    monkeypatch.setattr(turns, "stopwatch", clock)
    found = take_turns({"ours": "ours", "plain": "plain"}, 3, "plain")
    assert order == ["ours", "plain"] * 4
    assert found["ours"] == (2, 3, 2, 5)  # the median of 3 / 1, 4 / 2 and 20 / 4, not the ratio of medians
    assert found["plain"] == (4, 1, 1, 1)


def test_growth_finds_the_exponent(monkeypatch):
    def step(config, plan, batch):
        frames, side, width = len(batch[0]), batch[0].shape[-1], config.widths[0]
        return frames * side**2 * width**2

    monkeypatch.setattr(growth, "our_step", step)
    monkeypatch.setattr(growth, "stopwatch", lambda work: work)
    rows = growth.measure(QUICK, None).rows
    assert [row["exponent"] for row in rows] == pytest.approx([1, 1, 2])


def test_the_arithmetic_of_a_step_is_that_of_its_convolutions():
    def conv(before, after, kernel, side):
        return 2 * before * after * kernel**2 * side**2

    config = configure(architecture="unet", deep_supervision=False, widths=(4, 8))
    forward = conv(3, 4, 3, 16) + conv(4, 4, 3, 16) + conv(4, 8, 3, 8) + conv(8, 8, 3, 8)
    forward += conv(12, 4, 3, 16) + conv(4, 4, 3, 16) + conv(4, 1, 1, 16)
    assert training.step_gflop(config, (16, 16)) == pytest.approx(3 * forward / 1e9)


def test_dice_is_that_of_the_frames(tiny):
    dataset = open_part(tiny, "val")

    def bright(image):
        return [image.float().mean(dim=1, keepdim=True) - 40]

    expected = []
    for image, mask in (dataset[index] for index in range(len(dataset))):
        logits = torch.nn.functional.interpolate(bright(image[None])[0], mask.shape[-2:], mode="bilinear")
        expected.append(f1_score(mask.flatten(), logits.flatten() > 0))
    assert 0 < np.mean(expected) < 1
    ((found,),), _ = inference.score_heads([bright], dataset)
    assert found == pytest.approx(np.mean(expected))


def test_a_training_step_and_its_rivals_learn(monkeypatch):
    batch = training.random_batch(QUICK, (16, 16), 2)
    config = Config(widths=(4, 8), precision="fp32")
    for step in (
        training.our_step(config, QUICK, batch),
        training.plain_step(training.build_model(config), QUICK, batch),
    ):
        (first, *_), *_, (*_, last, _) = [step() for _ in range(8)]
        assert last < first


def test_it_prints_tables_and_writes_them(monkeypatch, tmp_path, capsys):
    few = partial(loading.write_dataset, frames=4, height=48, width=64)
    monkeypatch.setattr(loading, "write_dataset", few)
    monkeypatch.setattr(loading, "SIZE", (32, 32))
    found = bench(quick=True, out=tmp_path / "bench.json", only=("loading", "processes"))
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(json.dumps(found))
    by_way = {row["way"]: row for row in found["sections"]["loading"]["rows"]}
    assert by_way["decode each time"]["ratio"] == 1
    assert by_way["cached"]["frames_per_s"] > 0
    assert by_way["cached"]["mapped_mib"] == pytest.approx(12 * 32 * 32 * 4 / 2**20)
    assert found["sections"]["processes"]["rows"] == []
    said = capsys.readouterr().out
    assert "Loading 12 frames" in said
    assert "not measured" in said
    assert found["threads"] == torch.get_num_threads()


def test_one_section_again_keeps_the_others_of_the_same_machine(tmp_path, capsys):
    out = tmp_path / "bench.json"
    first = bench(quick=True, out=out, only=("processes",))
    out.write_text(json.dumps(first | {"sections": {"loading": {"rows": [1]}, "processes": {"rows": [2]}}}))
    bench(quick=True, out=out, only=("processes",))
    assert {name: s["rows"] for name, s in json.loads(out.read_text())["sections"].items()} == {
        "loading": [1],
        "processes": [],
    }
    for other in (
        json.dumps(first | {"torch": "0", "sections": {"loading": {"rows": [1]}}}),
        "{}",
        "[1]",
        "x",
    ):
        out.write_text(other)
        assert bench(quick=True, out=out, only=("processes",))["sections"].keys() == {"processes"}


def test_two_processes_are_measured_by_training(tmp_path):
    data = processes.write_dataset(tmp_path / "frames", sequences=6, frames=4, height=48, width=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "FLAGS", ("--size", "32", "32", "--widths", "4", "8", "--batch-size", "4"))
        assert len(processes._train(data, tmp_path / "run", 1, 1)) == 3


def test_the_network_s_share_of_the_time(monkeypatch, tmp_path):
    few = partial(files.write_dataset, height=48, width=64)
    monkeypatch.setattr(
        files, "write_dataset", lambda path, sequences, frames: few(path, sequences=1, frames=1)
    )
    monkeypatch.setattr(files, "take_turns", lambda sides, rounds, reference: {
        name: (work(), turns.Timed(100.0, 1.0, 1.0, 1.0))[1] for name, work in sides.items()
    })  # fmt: skip
    section = files.measure(QUICK, tmp_path)
    assert all(0 < row["network_share"] < 1 for row in section.rows)
    assert len(list(tmp_path.glob("masks_*/masks/*.png"))) == 3


def test_an_unknown_section_is_named(capsys):
    assert main(["bench", "--only", "traning"]) == 2
    assert "training" in capsys.readouterr().err


def test_all_sections_are_of_the_documentation(request):
    page = (request.config.rootpath / "docs" / "usage.md").read_text()
    assert all(f"`{name}`" in page for name in module.SECTIONS)


def test_the_module_can_be_imported_without_unix_modules():
    code = "import sys; sys.modules['resource'] = None; import polyp.course.bench"
    subprocess.run([sys.executable, "-c", code], check=True)
