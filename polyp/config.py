"""Every setting of a run, in one frozen dataclass.

The same flat set of names serves as papermill parameters, command-line flags, keyword arguments, the
`config.json` of a run folder and the metadata of a checkpoint. An unknown name or a wrong type is an error
that names the nearest right one.

Each choice below repeats the keys of a table next to what it names, in a room above this one: `NETWORKS`,
`ENCODERS`, `LOSSES`, `AUGMENTATIONS`, `SPLITS`, `SCHEDULES`, `PRECISIONS`, `DEVICES`. (Reading the tables
from here would load torch for `polyp --help`.) tests/test_tables.py compares the two.
"""

import ast
import json
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from polyp.errors import UsageError, did_you_mean


def setting(default: Any, meaning: str) -> Any:
    """A dataclass field with its `--help` text."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class Config:
    """What a run does, and with which network. Lengths are in pixels, times in epochs unless said otherwise.

    Raises:
        UsageError: a wrong type, a value out of range, an unknown choice.
    """

    architecture: Literal["unet", "unetpp"] = setting("unetpp", "the network")
    widths: tuple[int, ...] = setting((32, 64, 128, 256, 512), "channels of each resolution, downwards")
    deep_supervision: bool = setting(True, "UNet++ only: a head and a loss at every level")
    encoder: Literal["conv", "efficientnet-lite0", "efficientnet-lite2"] = setting(
        "conv", "UNet++ only: the first column"
    )
    data: str = setting(
        "synthetic",
        "a dataset (`polyp data list`), a folder, a CSV of pairs, COCO's JSON, or several joined by +",
    )
    masks: str = setting("", "the folder of masks, if data is a folder of frames and their names say nothing")
    mask_values: str = setting(
        "auto", "which mask pixels mean polyp: auto, dark, nonzero, alpha, 1+2, ff0000"
    )
    split: Literal["auto", "sequence", "random", "hospital", "mixed", "pranet"] = setting(
        "auto",
        "the data's own train, val and test, else by video (honest); by frame (leaks), by hospital, a share "
        "of each, or as PraNet",
    )
    add: str = setting("", "more data, joined by +, all of which is for training")
    clean: bool = setting(True, "train on the frames without a polyp too, if the data has any")
    balance: float = setting(0.0, "0 draws every frame alike, 1 gives every hospital the same share")
    train_sequences: int = setting(0, "train on this many videos only, drawn by the seed; 0 means all")
    refit: bool = setting(False, "train on the validation frames too, and keep the last epoch")
    split_file: str = setting(
        "", "your own split instead: a CSV with frame,part (train, val, test), or from polyp data split"
    )
    fold: int = setting(0, "which fold is the test set, 0 to 4; a random split has only fold 0")
    size: tuple[int, int] = setting((128, 128), "height and width that the network sees")
    augment: Literal["none", "flips", "standard", "strong"] = setting(
        "standard", "augmentation of training frames"
    )
    loss: Literal["bce", "dice", "bce_dice"] = setting("bce_dice", "loss on the logits")
    epochs: int = setting(40, "passes over the training frames")
    batch_size: int = setting(8, "frames in a step")
    lr: float = setting(2e-3, "highest learning rate of the schedule")
    pretrained: bool = setting(True, "start an encoder other than conv from its ImageNet weights")
    init: str = setting("", "start from weights: several or clinicdb, which ship, or a checkpoint's file")
    encoder_lr: float = setting(0.3, "such an encoder's share of lr; 0 freezes it")
    schedule: Literal["onecycle", "cosine"] = setting("onecycle", "long or short warm-up, then a cosine")
    weight_decay: float = setting(1e-2, "AdamW's decoupled weight decay")
    clip_norm: float = setting(1.0, "gradients are scaled down to this norm")
    patience: int = setting(0, "stop after this many epochs without a better Dice; 0 means never")
    precision: Literal["auto", "fp32", "bf16"] = setting("auto", "auto is bf16 where the hardware has it")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "auto is a GPU if there is one")
    workers: int = setting(0, "loader processes; with the cache 0 is enough on a CPU")
    seed: int = setting(0, "weights, order and augmentation all follow from it")

    def __post_init__(self):
        _check_types(self)
        _require(len(self.widths) >= 2, "widths", self.widths, "at least two resolutions")
        _require(min(self.widths) >= 1, "widths", self.widths, "positive channel counts")
        if self.encoder != "conv":
            needed = f"unetpp for encoder={self.encoder}"
            _require(self.architecture == "unetpp", "architecture", self.architecture, needed)
            needed = f"4 channel counts for encoder={self.encoder}, such as 16 32 48 64"
            _require(len(self.widths) == 4, "widths", self.widths, needed)
        _require(min(self.size) >= 1, "size", self.size, "height and width, both positive")
        for name in ("epochs", "batch_size"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("fold", "patience", "workers", "seed", "weight_decay", "encoder_lr", "train_sequences"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(self.seed < 2**31, "seed", self.seed, "less than 2147483648")
        for name in ("lr", "weight_decay", "clip_norm", "encoder_lr"):
            _require(not getattr(self, name) > 1e30, name, getattr(self, name), "a finite number")
        for name, most in (("epochs", 10**6), ("batch_size", 10**6), ("workers", 1024)):
            _require(getattr(self, name) <= most, name, getattr(self, name), f"at most {most}")
        _require(max(self.size) <= 8192, "size", self.size, "at most 8192 pixels")
        _require(max(self.widths) <= 4096, "widths", self.widths, "at most 4096 channels")
        _require(len(self.widths) <= 10, "widths", self.widths, "at most 10 resolutions")
        _require(0 <= self.balance <= 1, "balance", self.balance, "0 to 1")
        for name in ("lr", "clip_norm"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "more than 0")
        if self.refit:
            needed = "0 with refit, which leaves no frames to judge an epoch by"
            _require(self.patience == 0, "patience", self.patience, needed)
        if self.encoder_lr != Config.encoder_lr:  # nobody would notice that it has no effect
            needed = f"{Config.encoder_lr}, as there is no pretrained encoder (preset transfer has one)"
            _require(self.starts_pretrained, "encoder_lr", self.encoder_lr, needed)

    @property
    def starts_pretrained(self) -> bool:
        """Whether the network has an encoder that starts from its ImageNet weights."""
        return self.pretrained and self.encoder != "conv"

    def to_dict(self) -> dict[str, Any]:
        """Plain values by flat name, ready for JSON."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `to_dict`, as strict as `configure`.

        Version 0.1 kept the network's settings in an inner dictionary, `model`: its files can be read too.
        """
        flat = {key: value for key, value in values.items() if key != "model"}
        return configure(**flat, **values.get("model", {}))


PRESETS: dict[str, dict[str, Any]] = {
    # Minutes of a lesson: small frames, a thin network, on the synthetic sequences.
    "quick": {
        "size": (64, 80),
        "widths": (12, 24, 48, 96),
        "epochs": 20,
        "lr": 5e-3,
        "augment": "flips",
    },
    # From scratch, on real frames: a quarter of an hour on 2 cores with bf16.
    "cpu": {
        "data": "cvc-clinicdb",
        "size": (128, 128),
        "widths": (16, 32, 64, 128, 256),
        "epochs": 40,
        "lr": 2e-3,
    },
    # A pretrained encoder, on frames four times as large, in less than half an hour there.
    "transfer": {
        "data": "cvc-clinicdb",
        "encoder": "efficientnet-lite0",
        "widths": (16, 32, 48, 64),
        "size": (256, 256),
        "epochs": 50,
        "lr": 2e-3,
    },
    # Full width and size.
    "gpu": {"data": "cvc-clinicdb", "size": (256, 256), "epochs": 100, "batch_size": 16, "workers": 4},
}


def setting_fields() -> dict[str, Any]:
    """Every setting's dataclass field by its name."""
    return {f.name: f for f in fields(Config)}


def configure(preset: str | None = None, **settings: Any) -> Config:
    """A configuration from a preset and the settings that differ from it.

    A setting that is None keeps the preset's value.

    Raises:
        UsageError: an unknown preset or setting (with the nearest right name), a wrong type or value.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}; {did_you_mean(preset, PRESETS)}")
    known = setting_fields()
    for name in settings:
        if name not in known:
            raise UsageError(f"unknown setting {name!r}; {did_you_mean(name, known)}")
    given = {name: value for name, value in settings.items() if value is not None}
    start = PRESETS[preset] if preset else {}
    return Config(**{name: _as_tuple(value) for name, value in {**start, **given}.items()})


def check_parameters(namespace: Mapping[str, Any]) -> None:
    """Refuse a parameter that a notebook does not have: papermill only warns of it, and goes on without it.

    To be called behind the cell tagged `parameters`, which in every notebook assigns `data` and `seed`.

    Args:
        namespace: the notebook's `globals()`, where the kernel keeps the cells that were run (`In`).

    Raises:
        UsageError: names the nearest right one.
    """
    own, injected = _parameters_in(namespace)
    for name in injected if own else ():
        if name not in own:
            raise UsageError(f"unknown parameter {name!r}; {did_you_mean(name, own)}")


def configure_notebook(namespace: Mapping[str, Any], others: Iterable[str] = ()) -> Config:
    """The configuration that a notebook's `parameters` cell and papermill's injected one ask for.

    papermill only warns of a parameter that the notebook does not have, and goes on without it. Here every
    name that these two cells assign counts as a setting, and an unknown one is an error. Other cells may
    assign what they like, and the notebook can be run again and again in one kernel.

    Args:
        namespace: the notebook's `globals()`, where the kernel keeps the cells that were run (`In`); without
            these, every setting in it counts.
        others: parameters of the notebook that are no settings of the run.

    Raises:
        UsageError: as `configure`; also `refit`, since notebooks look at validation frames.
    """
    known = ["preset", *setting_fields(), *others]
    own, injected = _parameters_in(namespace)
    given = own + injected or [name for name in known if name in namespace]
    for name in given:
        if name not in known:
            raise UsageError(f"unknown parameter {name!r}; {did_you_mean(name, known)}")
    config = configure(**{name: namespace[name] for name in set(given) - set(others)})
    needed = "False, since this notebook looks at validation frames (`polyp train --refit` does without)"
    _require(not config.refit, "refit", config.refit, needed)
    return config


def _parameters_in(namespace: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What the last run of the cell with the parameters assigned, and what papermill's after it did."""
    own: list[str] = []
    injected: list[str] = []
    for cell in namespace.get("In", ()):
        names = _assigned(cell)
        if cell.startswith("# Parameters"):  # so begins the cell that papermill writes
            injected = names
        elif {"data", "seed"} <= set(names):
            own, injected = names, []
    return own, injected


def _assigned(cell: str) -> list[str]:
    """The names that a cell assigns, as `name = value`, outside of blocks."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError:  # the kernel keeps what it could not run, too
        return []
    targets = [target for line in statements if isinstance(line, ast.Assign) for target in line.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def changed(config: Config, **settings: Any) -> Config:
    """A copy with some settings replaced.

    Raises:
        UsageError: an unknown setting, a wrong type or value.
    """
    for name in settings.keys() - setting_fields().keys():
        raise UsageError(f"unknown setting {name!r}; {did_you_mean(name, setting_fields())}")
    return replace(config, **{name: _as_tuple(value) for name, value in settings.items()})


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _require(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        given = repr(value)
        given = given if len(given) <= 80 else f"{given[:77]}..."
        raise UsageError(f"{name} is {given}; expected {expected}")


def _check_types(config: Any) -> None:
    hints = typing.get_type_hints(type(config))
    for f in fields(config):
        value, hint = getattr(config, f.name), hints[f.name]
        if hint is float and type(value) is int:
            object.__setattr__(config, f.name, float(value))
        elif not _fits(value, hint):
            raise UsageError(f"{f.name} is {value!r}; {_expected(value, hint)}")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is Literal:
        return value in typing.get_args(hint)
    if origin is tuple:
        items = typing.get_args(hint)
        if not isinstance(value, tuple) or (items[-1] is not Ellipsis and len(value) != len(items)):
            return False
        return all(_fits(item, items[0]) for item in value)
    return type(value) is hint  # `bool` is an `int` to isinstance, not to us


def _expected(value: Any, hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return did_you_mean(value, typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        such_as = "whole numbers, such as [16, 32, 64]"
        if hint == tuple[int, int]:
            such_as = "two whole numbers, such as [96, 128]"
        return f"expected {such_as}{_remedy(value, hint)}"
    return f"expected {hint.__name__}, got {type(value).__name__}{_remedy(value, hint)}"


def _remedy(value: Any, hint: Any) -> str:
    remedy = ""
    if isinstance(value, str) and hint is not str:
        remedy = " (papermill's -p passes some values as text: use -y 'name: value')"
        if hint is float and re.fullmatch("[-+]?[0-9]+[eE][-+]?[0-9]+", value):
            mantissa, exponent = value.lower().split("e")
            remedy = f" (YAML reads {value} as text: write {mantissa}.0e{exponent})"
    return remedy
