"""The page of a run: what it says is what was measured, and nothing in it can do harm."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from polyp.__main__ import main
from polyp.config import changed
from polyp.data.dataset import open_data
from polyp.data.images import read_image, write_png
from polyp.errors import DataError
from polyp.model.intervals import bootstrap_mean
from polyp.run.fitting import fit
from polyp.run.page import writing
from polyp.run.page.checklist import checklist
from polyp.run.page.facts import facts_of_run
from polyp.run.page.reading import read_curves
from polyp.run.page.scores import by_size, part_scores, went_wrong, worst_frames
from polyp.run.page.writing import write_page

VOID = {"meta", "br", "img", "path", "circle", "use", "link", "rect"}


class Reader(HTMLParser):
    """The tags, texts and tables of a page; wrong nesting is an error."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.text, self._open = [], [], "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def row(self, title):
        return next(row[1:] for row in self.rows if row[0].startswith(title))


def page_of(folder):
    return Reader(folder.page.read_text(encoding="utf-8"))


def said(reader):
    return " ".join(reader.text.split())


@pytest.fixture
def frames(tiny):
    return open_data(tiny)


def test_the_page_says_what_metrics_json_says(run):
    page, metrics = page_of(run), run.metrics()
    for name, title in (("dice", "Dice"), ("iou", "IoU"), ("precision", "precision"), ("recall", "recall")):
        rows = [row for row in page.rows if row[0].startswith(title) and len(row) == 4]
        for row, how in zip(rows, ("per_image", "pooled"), strict=True):
            value = metrics["val"][f"{name}_{how}"]
            assert row[1] == ("not defined" if value is None else f"{value:.3f}")
    assert page.row("training")[0] == str(len(open_data(run.config()).train))
    assert page.row("validation")[0] == str(metrics["val"]["images"])
    assert f"epoch {metrics['epoch']} of 3" in page.row("trained")[0]
    assert run.page.stat().st_size < 2_000_000


def test_the_page_asks_nothing_of_anyone(run):
    page, text = page_of(run), run.page.read_text(encoding="utf-8")
    links = [attrs["href"] for attrs in page.named("a")]
    assert links
    assert all(link.startswith("https://doi.org/10.") for link in links)
    for tag, attrs in page.tags:
        assert tag not in ("script", "iframe", "link", "object", "embed", "form")
        assert not [name for name in attrs if name.startswith("on") or name == "srcset"]
        if tag != "a":
            assert all(link.startswith("#") for name, link in attrs.items() if name == "href")
    assert all(attrs["src"].startswith("data:image/jpeg;base64,") for attrs in page.named("img"))
    assert set(re.findall(r"url\(([^)])", text)) <= {"#"}
    assert "@import" not in text
    assert "default-src 'none'" in page.named("meta")[2]["content"]
    assert len(re.findall("https?://", text)) == len(links)


def test_the_page_can_be_read_without_seeing_it(run):
    page = page_of(run)
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert headings.count("h2") == 5
    assert all(int(b[1]) <= int(a[1]) + 1 for a, b in pairwise(headings))
    pictures = page.named("img")
    assert len(pictures) == min(6, run.metrics()["val"]["images"])
    assert all(len(attrs["alt"]) > 40 for attrs in pictures)
    drawn = [attrs for attrs in page.named("svg") if attrs.get("class") != "bar"]
    figures = [attrs for attrs in page.named("figure") if "role" in attrs]
    assert len(drawn) == len(figures) == 3
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert all("scope" in attrs for attrs in page.named("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_a_hostile_name_is_text(run, frames, monkeypatch):
    evil = "<script>alert(1)</script>\"'&"
    first = worst_frames(run.frames("val"))["frame"].iloc[0]
    frames.val.frames[frames.val.frames.index(first)] = evil
    real = writing.facts_of_run

    def with_evil(*args):
        found = real(run, open_data(run.config()))
        named = {"frame": {first: evil}}
        tables = {part: table.replace(named) for part, table in found.tables.items()}
        return found._replace(frames=found.frames.replace(named), tables=tables)

    monkeypatch.setattr(writing, "facts_of_run", with_evil)
    page = Reader(write_page(run, frames).read_text(encoding="utf-8"))
    assert not page.named("script")
    assert evil in page.text
    assert any(evil in attrs["alt"] for attrs in page.named("img"))


def test_an_interval_draws_whole_groups():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(1, 90, (40, 3)), columns=["tp", "fp", "fn"]).assign(tn=500, marked=True)
    table.loc[:9, ["tp", "fn"]] = 0  # clean
    table.loc[:4, "fp"], table.loc[:4, "marked"] = 0, False
    tp, fp, fn = (table[name] for name in ("tp", "fp", "fn"))
    table["dice"], table["iou"] = 2 * tp / (2 * tp + fp + fn), tp / (tp + fp + fn)
    table["precision"], table["recall"] = tp / (tp + fp), tp / (tp + fn)
    groups = np.array([f"g{i % 7}" for i in range(40)])
    found = {score.name: score for score in part_scores(table.assign(group=groups))}
    for name in ("dice", "precision"):
        low, high = bootstrap_mean(table[name][10:], groups[10:])
        ours = found[f"{'Dice' if name == 'dice' else name}, mean of the frames"]
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.01)
        assert ours.value == pytest.approx(table[name][10:].mean())
    clean = found["frames without a polyp that are marked"]
    assert (clean.low, clean.high) == pytest.approx(
        bootstrap_mean(table["marked"][:10], groups[:10]), abs=0.05
    )
    # pooled, by drawing once more and adding up
    sums = table.assign(group=groups).groupby("group")[["tp", "fp", "fn"]].sum().to_numpy()
    drawn = sums[rng.integers(0, 7, (4000, 7))].sum(axis=1)
    dice = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    ours = found["Dice, all pixels pooled"]
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(dice, [0.025, 0.975])), abs=0.01)


def test_one_group_gives_no_interval(run):
    assert {score.low for score in part_scores(run.frames("val").assign(group="one"))} == {None}


def test_the_worst_frames_come_first():
    table = pd.DataFrame(
        {
            "frame": ["good", "missed", "clean", "marked", "missed more"],
            "tp": [90, 0, 0, 0, 0], "fp": [0, 0, 0, 30, 5], "fn": [10, 20, 0, 0, 400],
            "tn": [900, 980, 1000, 970, 595],
            "dice": [0.95, 0.0, np.nan, 0.0, 0.0],
        }
    )  # fmt: skip
    assert worst_frames(table)["frame"].tolist() == ["missed more", "marked", "missed", "good"]
    assert worst_frames(table, 2)["frame"].tolist() == ["missed more", "marked"]
    sizes = by_size(table)
    assert [(size.frames, size.dice) for size in sizes] == [(1, 0), (0, None), (2, pytest.approx(0.475))]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 30, 0), "false mark: 30 pixels"),
        ((0, 0, 30), "missed: nothing"),
        ((0, 9, 30), "missed, and another place"),
        ((25, 5, 75), "partly found: 75%"),
        ((25, 75, 5), "too much marked: 75%"),
        ((95, 5, 5), "found; 5%"),
    ],
)
def test_words_say_what_went_wrong(counts, words):
    assert went_wrong(*counts).startswith(words)


def log_of(loss, val_loss, val_dice, iou=0.5, val_iou=0.5):
    rows = {"loss": loss, "val_loss": val_loss, "val_dice": val_dice}
    return pd.DataFrame(rows).assign(iou=iou, val_iou=val_iou, epoch=range(1, len(rows["loss"]) + 1))


FALLING, RISING = np.linspace(1, 0.1, 20), np.linspace(0.6, 0.9, 10)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (log_of(FALLING, np.r_[FALLING[:10], RISING], FALLING * 0), r"in epoch 10 .*overfitting since"),
        (log_of(FALLING, FALLING, 1 - FALLING), "still rose by 0.09.* in the last 2 epochs"),
        (log_of(FALLING, FALLING, np.r_[np.linspace(0, 0.8, 15), [0.8] * 5]), "No sign of overfitting"),
        (log_of(FALLING, FALLING * 1.09, [0.8] * 20, 0.9, 0.7), "0.90 on training frames and 0.70"),
        (log_of([1.0], [1.0], [0.5]), "One epoch makes no curve"),
        (log_of([1.0, 0.9], [None, None], [None, None]), "no validation frames"),
        (log_of([1.0, 0.9], [1.0, 0.9], [None, None]), "not defined"),
    ],
)  # fmt: skip
def test_curves_are_read_by_rules(log, words):
    assert re.search(words, " ".join(read_curves(log.astype(float), len(log))))


def items_of(run, **given):
    facts = facts_of_run(run, open_data(run.config()))._replace(**given)
    return {item.title: item for item in checklist(facts)}


def test_the_list_follows_from_the_run(run):
    items = items_of(run)
    assert items["Frames of one video are all in one part"].status == "done"
    tested = items["Scored on frames that chose nothing (internal testing)"]
    assert (tested.status, tested.command) == ("missing", f"polyp train --resume {run.path} --test")
    assert items["Tested on another hospital (external testing)"].status == "missing"
    assert items["Scores with their uncertainty"].status == "missing"  # one or two videos
    assert items["Frames without a polyp"].status == "missing"
    assert items["Who drew the outlines"].status == "yours"
    frames = facts_of_run(run, open_data(run.config())).frames
    # the same frames, split at random
    mixed = items_of(run, frames=frames.assign(part=["train", "val", "test"] * (len(frames) // 3)))
    assert mixed["Frames of one video are all in one part"].status == "missing"
    assert (
        "6 videos have frames in more than one part" in mixed["Frames of one video are all in one part"].says
    )
    # tested elsewhere, and on clean frames
    tested = {"test": pd.DataFrame({"tp": 0, "fn": [0, 0, 0, 0, 9], "marked": [True, *[False] * 4]})}
    other = frames.assign(hospital=np.where(frames["part"] == "test", "there", "here"))
    items = items_of(run, tables=tested, frames=other)
    assert items["Tested on another hospital (external testing)"].status == "done"
    assert items["Frames without a polyp"].says == "Of 4 scored, 1 are marked."
    assert items["Scored on frames that chose nothing (internal testing)"].status == "yours"
    unknown = items_of(run, videos=False)
    assert unknown["Frames of one video are all in one part"].status == "missing"


def test_a_run_without_validation_frames(tiny, tmp_path):
    run = fit(changed(tiny, refit=True, epochs=1), tmp_path / "run", progress=False)
    page = page_of(run)
    assert "There is no score to show" in said(page)
    assert not page.named("img")
    run = fit(run.config(), tmp_path / "run", resume=True, progress=False, test=True)
    page, test = page_of(run), run.metrics()["test"]
    assert page.row("Dice, mean")[0] == f"{test['dice_per_image']:.3f}"
    assert not page.named("img")  # who looks at test frames, chooses by them


def test_validation_frames_without_a_polyp(tiny, tmp_path, frames_folder):
    data, split = shutil.copytree(frames_folder, tmp_path / "data"), tmp_path / "split.csv"
    found = open_data(tiny)
    split.write_text(found.table.to_csv(index=False))
    for frame in found.val.frames:
        mask = data / "masks" / f"{frame}.png"
        write_png(mask, np.zeros_like(read_image(mask)[..., 0]))
    tiny = changed(tiny, data=str(data), split_file=str(split), epochs=1)
    run = fit(tiny, tmp_path / "run", progress=False)
    page, val = page_of(run), run.metrics()["val"]
    assert val["clean"] == val["images"]
    assert page.row("Dice, mean")[:2] == ["not defined", "–"]
    assert page.row("frames without a polyp that")[0] == f"{val['clean_marked']:.3f}"
    drawn = [attrs["alt"] for attrs in page.named("img")]
    assert all("false mark" in alt for alt in drawn)


def test_a_resumed_run_gets_a_page_of_all_its_epochs(tiny, tmp_path):
    run = fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    assert "One epoch makes no curve" in said(page_of(run))
    fit(run.adjust(epochs=2), run.path, resume=True, progress=False)
    page = page_of(run)
    assert "One epoch makes no curve" not in said(page)
    assert "after 2 epochs" in said(page)


def test_a_page_that_cannot_be_drawn_fails_no_run(tiny, tmp_path, monkeypatch):
    def broken(*args):
        raise ValueError("no ink")

    tiny = changed(tiny, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "loss_curve", broken)
        with pytest.warns(
            UserWarning, match=r"no .*run\.html \(ValueError: no ink\); try again: polyp page "
        ):
            run = fit(tiny, tmp_path / "run", progress=False)
    assert run.metrics()["epoch"] == 1
    assert not run.page.exists()
    monkeypatch.setattr(writing, "frame_picture", broken)
    page = Reader(write_page(run).read_text(encoding="utf-8"))
    assert "could not be drawn" in page.text
    assert not fit(tiny, tmp_path / "bare", progress=False, pictures=False).page.exists()


def test_the_command_writes_the_page_again(run, tmp_path, capsys):
    before = write_page(run).read_text(encoding="utf-8")
    run.page.unlink()
    assert main(["page", str(run.path)]) == 0
    assert capsys.readouterr().out == f"{run.page}\n"
    assert run.page.read_text(encoding="utf-8") == before
    (run.path / "val.csv").unlink()  # as in a run of 0.2
    assert main(["page", str(run.path)]) == 1
    command = capsys.readouterr().err.partition("is missing; to score them again: ")[2].split()
    assert main(command[1:]) == 0
    assert capsys.readouterr().out.count("run.html") == 1
    assert run.page.read_text(encoding="utf-8").count("<svg") == before.count("<svg")
    assert main(["page", str(tmp_path / "nowhere")]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_damage_is_one_line(run, frames_folder, tmp_path, capsys):
    whole = (run.path / "val.csv").read_text()
    for text in ("frame\n1\n", "\x00", whole + "9,", whole.replace("dice", "ecid"), ""):
        (run.path / "val.csv").write_text(text)
        assert main(["page", str(run.path)]) == 1
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert "val.csv: not the scores of" in line
    (run.path / "val.csv").write_text(whole)
    log = (run.path / "log.csv").read_text()
    for text in (log.partition("\n")[0], log.replace("val_loss", "loss_val"), log.replace("\n2,", "\ntwo,")):
        (run.path / "log.csv").write_text(text)
        assert main(["page", str(run.path)]) == 1
        assert "log.csv: not the log of this run" in capsys.readouterr().err
    (run.path / "log.csv").write_text(log)
    other = shutil.copytree(frames_folder, tmp_path / "other")
    first = min((other / "masks").iterdir())
    write_png(first, 255 - read_image(first)[..., 0])
    config = json.loads(run.config_file.read_text()) | {"data": str(other)}
    run.config_file.write_text(json.dumps(config))
    with pytest.raises(DataError, match="the data have changed since this run"):
        write_page(run)
    run.metrics_file.unlink()
    with pytest.raises(DataError, match="has not ended"):
        write_page(run)


def test_a_frame_called_na_keeps_its_name(run):
    table = run.frames("val")
    names = ["NA", "007", *table["frame"][2:]]
    (run.path / "val.csv").write_text(table.assign(frame=names).to_csv(index=False))
    assert run.frames("val")["frame"].tolist() == names
    assert run.frames("val")["dice"].tolist() == pytest.approx(table["dice"].tolist(), nan_ok=True)
    assert run.frames("test") is None
