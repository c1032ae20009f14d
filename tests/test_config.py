import dataclasses
import json
import math
import re

import pytest

from polyp.config import (
    PRESETS,
    Config,
    changed,
    check_parameters,
    configure,
    configure_notebook,
)
from polyp.errors import UsageError


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_json(preset):
    config = configure(preset, seed=7)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_nested_form_of_version_0_1_is_read():
    config = configure("transfer", seed=7)
    inner = ("architecture", "widths", "deep_supervision", "encoder")
    flat = config.to_dict()
    nested = {"model": {name: flat.pop(name) for name in inner}, **flat}
    assert Config.from_dict(nested) == config


def test_none_keeps_the_preset():
    assert configure("quick", epochs=None) == configure("quick")
    assert configure("quick", epochs=3, widths=[4, 8]).widths == (4, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "qick"}, "did you mean 'quick'"),
        ({"epohcs": 3}, "unknown setting 'epohcs'; did you mean 'epochs'"),
        ({"epochs": "3"}, r"expected int, got str \(papermill"),
        ({"epochs": 3.0}, "expected int, got float"),
        ({"epochs": True}, "expected int, got bool"),
        ({"deep_supervision": "true"}, r"expected bool, got str \(papermill"),
        ({"architecture": "unet++"}, "did you mean 'unet"),
        ({"size": [128]}, r"size is \(128,\); expected two whole numbers, such as \[96, 128\]$"),
        ({"size": [128, 12.5]}, "expected two whole numbers"),
        ({"size": "[96, 128]"}, r"two whole numbers, such as \[96, 128\] \(papermill.* use -y"),
        ({"widths": [8, "16"]}, r"expected whole numbers, such as \[16, 32, 64\]$"),
        ({"size": [0, 8]}, "both positive"),
        ({"widths": [8]}, "at least two"),
        ({"widths": [0, 8]}, "positive"),
        ({"epochs": 0}, "expected 1 or more"),
        ({"fold": -1}, "expected 0 or more"),
        ({"refit": True, "patience": 3}, "patience is 3; expected 0 with refit"),
        ({"encoder_lr": 0.0}, "encoder_lr is 0.0; expected 0.3, as there is no pretrained encoder"),
        ({"preset": "transfer", "pretrained": False, "encoder_lr": 1.0}, "pretrained encoder"),
        ({"lr": float("nan")}, "expected more than 0"),
    ],
)
def test_a_mistake_names_itself_and_the_remedy(settings, message):
    with pytest.raises(UsageError, match=message):
        configure(**settings)


def test_a_whole_number_is_a_float_too():
    assert configure(lr=1).lr == 1.0
    assert isinstance(configure(lr=1).lr, float)


def test_changed_copies():
    config = configure("quick")
    assert changed(config, epochs=2, architecture="unet") == configure("quick", epochs=2, architecture="unet")
    assert config.epochs == PRESETS["quick"]["epochs"]
    with pytest.raises(UsageError, match="unknown setting 'epohcs'; did you mean 'epochs'"):
        changed(config, epohcs=3)
    with pytest.raises(UsageError, match="epochs is 0"):
        changed(config, epochs=0)


def kernel(*cells):
    """What a kernel holds after these cells."""
    namespace = {"In": [""]}
    for cell in cells:
        namespace["In"].append(cell)
        exec(cell, namespace)
    return namespace


OWN = "preset = 'quick'\nepochs = None\ndata = None\nseed = None\nout = 'x'"


def test_notebook_parameters():
    assert configure_notebook(kernel(OWN), others=("out",)) == configure("quick")
    injected = "# Parameters\nepochs = 2\n"
    assert configure_notebook(kernel(OWN, injected), others=("out",)) == configure("quick", epochs=2)
    for wrong in (kernel(OWN, "# Parameters\nepohcs = 3"), kernel(f"{OWN}\nepohcs = 3")):
        with pytest.raises(UsageError, match="unknown parameter 'epohcs'; did you mean 'epochs'"):
            configure_notebook(wrong, others=("out",))
    with pytest.raises(UsageError, match="unknown parameter 'out'"):
        configure_notebook(kernel(OWN))


def test_a_notebook_can_be_run_again_and_go_its_own_ways():
    """Whatever other cells assign, before or behind; and the parameters may be changed and run again."""
    scratch, later = "x = 1", "config = loss_of = history = 3\nfor epochs_of in (1, 2): pass"
    cells = [scratch, OWN, "y = 2", "# Parameters\nepochs = 2", later, "this is no Python"]
    namespace = kernel(*cells[:-1])
    namespace["In"].append(cells[-1])
    assert configure_notebook(namespace, others=("out",)) == configure("quick", epochs=2)
    again = kernel(*cells[:-1], OWN.replace("epochs = None", "epochs = 5"))
    assert configure_notebook(again, others=("out",)) == configure("quick", epochs=5)
    mended = kernel(OWN, "# Parameters\nepohcs = 3", scratch, "# Parameters\nepochs = 3")
    assert configure_notebook(mended, others=("out",)) == configure("quick", epochs=3)


def test_without_a_kernel_every_setting_counts():
    namespace = {"Path": None, "_hidden": 1, "preset": "quick", "epochs": 2, "seed": None, "out": "x"}
    assert configure_notebook(namespace, others=("out",)) == configure("quick", epochs=2)


def test_a_notebook_needs_validation_frames():
    with pytest.raises(UsageError, match=r"refit is True; expected False, .*`polyp train --refit`"):
        configure_notebook({"preset": "quick", "refit": True})


def test_a_notebook_without_a_configuration_has_its_parameters_checked():
    check_parameters(kernel(OWN, "x = 1"))
    check_parameters(kernel(OWN, "# Parameters\nepochs = 3"))
    check_parameters(kernel("# Parameters\nepohcs = 3", OWN))
    check_parameters({"epohcs": 3})
    with pytest.raises(UsageError, match="unknown parameter 'epohcs'; did you mean 'epochs'"):
        check_parameters(kernel("import json", OWN, "# Parameters\nepohcs = 3"))


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        configure().epochs = 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 10**18}, "seed is 1000000000000000000; expected less than 2147483648"),
        ({"lr": math.inf}, "lr is inf; expected a finite number"),
        ({"weight_decay": math.nan}, "weight_decay is nan; expected"),
        ({"epochs": 10**20}, "epochs is 100000000000000000000; expected at most"),
        ({"size": (100_000, 100_000)}, "expected at most 8192 pixels"),
        ({"widths": (8000,) * 4}, "expected at most 4096 channels"),
        ({"widths": (1,) * 3000}, "expected at most 10 resolutions"),
    ],
)
def test_absurd_values_are_refused_before_anything_is_built(settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        configure(**settings)
