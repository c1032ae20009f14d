"""One table per choice: the configuration offers exactly what the tables hold."""

import typing
from typing import Literal

import pytest

from polyp.config import PRESETS, Config, changed, configure
from polyp.data.augmentation import AUGMENTATIONS
from polyp.data.known import DATASETS, find_dataset
from polyp.data.split import SPLITS
from polyp.errors import UsageError, look_up
from polyp.model.losses import LOSSES
from polyp.model.network import ENCODERS, NETWORKS, build_model
from polyp.run.hardware import DEVICES, PRECISIONS, autocast, choose_device
from polyp.run.training import SCHEDULES

TABLES = {
    "architecture": NETWORKS,
    "encoder": ENCODERS,
    "loss": LOSSES,
    "augment": AUGMENTATIONS,
    "split": SPLITS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "device": DEVICES,
}


def test_every_choice_of_the_configuration_is_its_tables_keys():
    hints = typing.get_type_hints(Config)
    choices = {n: typing.get_args(hint) for n, hint in hints.items() if typing.get_origin(hint) is Literal}
    assert choices == {name: tuple(table) for name, table in TABLES.items()}


@pytest.mark.parametrize("name", TABLES)
def test_an_unknown_choice_is_refused(name):
    with pytest.raises(UsageError, match=name):
        configure(**{name: "nonsense"})


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_network_that_can_be_asked_for_is_built(architecture, encoder):
    if architecture != "unetpp" and encoder != "conv":
        with pytest.raises(UsageError, match="expected unetpp"):
            configure(architecture=architecture, encoder=encoder)
        return
    model = build_model(configure(architecture=architecture, encoder=encoder, widths=(4, 6, 8, 10)))
    assert type(model).__name__ == {
        ("unet", "conv"): "UNet",
        ("unetpp", "conv"): "UNetPlusPlus",
    }.get((architecture, encoder), "EfficientUNetPlusPlus")


def test_a_table_never_falls_through_to_a_default():
    config = configure()
    object.__setattr__(config, "architecture", "unet3p")  # as a table and the configuration might drift apart
    with pytest.raises(UsageError, match="unknown architecture 'unet3p'; did you mean 'unet"):
        build_model(config)
    with pytest.raises(UsageError, match="unknown precision 'fp16'"):
        autocast(choose_device("cpu"), "fp16")
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("gpu")
    with pytest.raises(UsageError, match="choose one of: a, b"):
        look_up({"a": 1, "b": 2}, "letter", "zzz")


def test_presets_name_datasets_that_are_known():
    assert {configure(preset).data for preset in PRESETS} <= DATASETS.keys()
    with pytest.raises(UsageError, match="did you mean 'kvasir-seg'"):
        find_dataset(changed(configure(), data="kvasir-sge").data)
