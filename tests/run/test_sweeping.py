"""Sweeps on a cluster of two workers, and what can happen to them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask.config
import nbformat
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster

from polyp.__main__ import build_parser, main
from polyp.config import changed, setting_fields
from polyp.data.synthetic import write_dataset
from polyp.errors import DataError, UsageError
from polyp.run.checkpoint import read_checkpoint
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder
from polyp.run.sweeping import cluster
from polyp.run.sweeping.grid import name_of, read_grid
from polyp.run.sweeping.jobs import NotebookJob, TrainJob, name_folders
from polyp.run.sweeping.sweep import sweep


def polyp(*arguments):
    try:
        return main(["sweep", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code


def laboratory(workers=2):
    """A cluster as a laboratory has one: it was there before, and stays."""
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def write_notebook(file, *lines):
    given = nbformat.v4.new_code_cell(
        "import time\nk = 1\nword = ''\nout = None", metadata={"tags": ["parameters"]}
    )
    cells = [given, *map(nbformat.v4.new_code_cell, lines)]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=spec), file)


def processes_with(text):
    """The processes whose command holds a text, not this one."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(text in word for word in process.info["cmdline"] or []) and process.pid != os.getpid():
            found.append(process)
    return found


def test_a_grid_is_read_as_the_command_line_reads_its_settings():
    points = read_grid(["lr=1e-3,.002", "size=64 80,32 32", "clean=false"], setting_fields())
    assert points == [
        {"lr": lr, "size": size, "clean": False} for lr in (0.001, 0.002) for size in ((64, 80), (32, 32))
    ]
    assert [name_of(point) for point in points[:2]] == [
        "lr=0.001,size=64-80,clean=False",
        "lr=0.001,size=32-32,clean=False",
    ]
    assert read_grid(["batch-size=2"], setting_fields()) == [{"batch_size": 2}]
    assert read_grid(["k=3,0.5,None,True,x"], ["k"]) == [{"k": k} for k in (3, 0.5, None, True, "x")]


def test_a_path_in_a_grid_does_not_make_folders():
    names = {
        name_of({"init": path}) for path in ("runs/a/best.safetensors", "runs_a/best.safetensors", "../x")
    }
    assert len(names) == 3
    assert all(Path(name).name == name and name != ".." for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --grid lrr=1 --out x", "unknown setting 'lrr'; did you mean 'lr'?"),
        ("train --grid lr --out x", "expected NAME=VALUE,VALUE"),
        ("train --grid lr=1e-3,0.001 --out x", "lr is 0.001 twice"),
        ("train --grid seed=1 seed=2 --out x", "seed is given twice"),
        ("train --grid epochs=1,two --out x", "epochs is 'two'; expected a whole number"),
        ("train --grid epochs=1,0 --out x", "epochs is 0; expected 1 or more"),
        ("train --grid preset=qick --out x", "did you mean 'quick'?"),
        ("train --grid lr=1 --lr 2 --out x", "lr is a flag and in the grid"),
        ("train --grid lr=1", "required: --out"),
        ("train --grid lr=1 --out x --jobs 1 --scheduler tcp://a:1", "--jobs is for this machine"),
        ("train --grid lr=1 --out x --jobs 0", "0 jobs or threads; expected 1 or more"),
        ("train --grid lr=1 --out x --cross-validate", "unknown argument '--cross-validate'"),
        ("predict . --out x --overlayy", "did you mean '--overlay'?"),
        ("predict . . --out x", "is given twice"),
    ],
)
def test_a_mistake_is_said_before_anything_starts(arguments, message, capsys):
    assert polyp(*arguments.split()) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert not Path("x").exists()


@pytest.mark.parametrize(
    "flags",
    ["", "--checkpoint a b --threshold 0.3 --no-second-look --mirror", "--level 2 --suffix=-m --table json"],
)
def test_the_jobs_of_prediction_get_the_flags_that_were_given(tmp_path, flags):
    read, given = build_parser().parse_args, flags.split()
    args = read(["sweep", "predict", str(tmp_path), "--out", "out", *given])
    (job,) = args.jobs_of(args)
    expected = ["predict", str(tmp_path), "--out", str(job.folder), "--skip-existing", *given]
    assert vars(read(job.prepare()[1:])) == vars(read(expected))


def test_folders_of_one_name_are_told_apart(tmp_path):
    places = [tmp_path / name for name in ("a/images", "b/images", "c")]
    for place in places:
        place.mkdir(parents=True)
    assert name_folders(places[1:]) == ["images", "c"]
    assert name_folders(places) == ["a/images", "b/images", f"{tmp_path.name}/c"]
    with pytest.raises(DataError, match="no such folder"):
        name_folders([tmp_path / "d"])


def test_a_worker_that_is_killed_changes_nothing(tiny, tmp_path):
    """One of two is killed in the middle of its run, while the other has a run that fails by itself."""
    out, config = tmp_path / "out", changed(tiny, epochs=3)
    jobs = [
        TrainJob(f"lr={lr}", {"lr": lr}, out / f"lr={lr}", changed(config, lr=lr)) for lr in (config.lr, 1e30)
    ]
    hurt, seen = RunFolder(jobs[0].folder), {}

    def kill():
        wait_for(hurt.last.is_file)
        job = wait_for(lambda: processes_with(str(hurt.path)))[0]
        job.parent().kill()
        seen["epochs"] = len(read_checkpoint(hurt.last)[1]["history"])
        job.wait(10)  # else it would write into the folder where the next one works
        seen["gone"] = True

    with laboratory(workers=2) as lab:
        killer = threading.Thread(target=kill)
        killer.start()
        table = sweep(jobs, out, scheduler=lab.scheduler_address, threads=1, progress=False)
        killer.join()
    assert seen["gone"]
    assert 1 <= seen["epochs"] < config.epochs
    assert list(table["state"]) == list(pd.read_csv(out / "sweep.csv")["state"]) == ["done", "failed"]
    assert "lower lr" in table["error"][1]
    alone = fit(config, tmp_path / "alone", progress=False, pictures=False)
    assert hurt.metrics() == alone.metrics()
    assert table["val_dice"][0] == alone.metrics()["val"]["dice_per_image"]
    for file in ("best", "last"):
        mine, its = (read_checkpoint(getattr(run, file))[0] for run in (hurt, alone))
        assert mine.keys() == its.keys()
        assert all(bool((mine[name] == its[name]).all()) for name in mine)


def test_a_job_that_always_kills_its_worker_is_one_row(tmp_path, monkeypatch):
    (tmp_path / "murder.py").write_text("import os, signal; os.kill(os.getppid(), signal.SIGTERM)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    tasks = [
        cluster.Task([name], tmp_path / f"{name}.log", tmp_path) for name in ("platform", "none", "murder")
    ]
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster.connected(None, 1, tmp_path) as client,
    ):
        outcomes = dict(cluster.run_tasks(client, tasks))
    assert outcomes[0].error == ""
    assert "No module named none" in outcomes[1].error
    assert "every worker that took it died" in outcomes[2].error


def test_what_is_done_is_kept(run, tmp_path, capsys):
    copy = shutil.copytree(run.path, tmp_path / "out" / "lr=0.002")
    before = (copy / "best.safetensors").stat()
    arguments = ["train", "--config", run.path, "--out", "out", "--grid"]
    assert polyp(*arguments, "lr=2e-3,1e-3", "--list") == 0
    assert capsys.readouterr().out == "lr=0.002: done\nlr=0.001: new\n"
    assert polyp(*arguments, "lr=2e-3") == 0
    assert capsys.readouterr().out.startswith("1 of 1 jobs are done already")
    assert (copy / "best.safetensors").stat() == before
    table = pd.read_csv("out/sweep.csv")
    assert table["val_dice"][0] == run.metrics()["val"]["dice_per_image"]
    assert table["epochs_run"][0] == 3
    assert polyp(*arguments, "lr=2e-3", "--batch-size", 2) == 2  # another sweep's folder
    assert "began with batch_size=4, not 2" in capsys.readouterr().err


def test_notebooks(tmp_path, capsys):
    write_notebook(
        "lesson.ipynb", "assert k < 3, 'too large'", "import os\nassert word == 7 and not os.path.exists(out)"
    )
    job = NotebookJob(
        "k=2", {}, tmp_path / "out" / "k=2", tmp_path / "lesson.ipynb", {"k": 2, "word": 7}, True
    )
    assert polyp("notebook", "lesson.ipynb", "--grid", "kk=2", "--out", "out") == 2
    assert "unknown setting 'kk'; did you mean 'k'?" in capsys.readouterr().err
    assert polyp("notebook", "none.ipynb", "--grid", "k=2", "--out", "out") == 1
    assert not job.is_done()
    (job.folder / "run" / "half").mkdir(parents=True)  # of an execution that was killed
    arguments = [
        "notebook",
        "lesson.ipynb",
        "-p",
        "word",
        "7",
        "--grid",
        "k=2,3",
        "--out",
        "out",
        "--jobs",
        2,
    ]
    assert polyp(*arguments) == 1
    table = pd.read_csv("out/sweep.csv")
    assert list(table["state"]) == ["done", "failed"]
    assert table["error"][1] == "AssertionError: too large"
    assert job.is_done()
    with pytest.raises(UsageError, match="was executed with word=7, not 8"):
        NotebookJob("k=2", {}, job.folder, job.notebook, {"k": 2, "word": 8}, True).is_done()
    assert "too large" in (tmp_path / "out" / "k=3" / "lesson.unfinished.ipynb").read_text()


def test_folders_of_pictures(tmp_path):
    for ward, seed in (("w1", 1), ("w2", 2)):
        write_dataset(tmp_path / ward, seed=seed, sequences=1, frames=2, height=48, width=64)
    (tmp_path / "w2" / "images" / "broken.png").write_bytes(b"\x89PNG")
    code = polyp("predict", "w1", "w2", "--out", "masks", "--suffix", "_m", "--no-second-look", "--jobs", 2)
    table = pd.read_csv("masks/sweep.csv")
    assert code == 1
    assert list(table["source"]) == ["w1", "w2"]
    assert list(table["state"]) == ["done", "failed"]
    assert table["masks"][0] == 2
    assert "broken.png" in table["error"][1]
    assert (
        len(list(Path("masks/w1/masks").glob("*_m.png"))) == len(list(Path("masks/w2/masks").glob("*"))) == 2
    )


def test_a_scheduler_that_does_not_answer(monkeypatch, capsys):
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        assert polyp("train", "--grid", "lr=1", "--out", "x", "--scheduler", address) == 2
        said = capsys.readouterr().err
        assert f"{address}: no Dask scheduler answers there" in said
        assert said.count("\n") == 1


def test_a_worker_without_the_folder_is_named(tmp_path):
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as lab,
        pytest.raises(UsageError, match=r"/nowhere: is not on the machines of 1 workers \(inproc"),
        cluster.connected(lab.scheduler_address, 1, Path("/nowhere")),
    ):
        pass


@pytest.mark.skipif(os.name == "nt", reason="has no process groups")
def test_ctrl_c_stops_all_and_says_how_to_go_on(tmp_path):
    write_notebook("lesson.ipynb", "from pathlib import Path", "Path('begun').touch(); time.sleep(600)")
    command = [
        sys.executable,
        "-m",
        "polyp",
        "sweep",
        "notebook",
        "lesson.ipynb",
        "--grid",
        "k=1,2",
        "--out",
        "out",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    wait_for(Path("begun").exists)
    assert processes_with(str(tmp_path))
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    assert said == (
        "0 of 2 jobs are done already; logs: out/*.log\n"
        "\nStopped. The same command goes on with what is missing.\n"
    )
    wait_for(lambda: not processes_with(str(tmp_path)), 10)


def test_a_kernel_that_was_never_heard_is_started_once_more(monkeypatch, tmp_path):
    """Two that start at once may choose the same ports; any other error is the job's own."""
    task = cluster.Task(("papermill",), tmp_path / "log", tmp_path)
    silent = cluster.Outcome("RuntimeError: Kernel didn't respond in 60 seconds")
    for ends in ([silent, cluster.Outcome("")], [cluster.Outcome("ValueError: no")], [silent, silent]):
        left = list(ends)
        monkeypatch.setattr(cluster, "_attempt", lambda task, left=left: left.pop(0))
        assert cluster.execute(task) == ends[-1]
        assert left == []
