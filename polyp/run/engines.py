"""What computes: PyTorch, or ONNX Runtime, with which nothing here imports torch."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from polyp.data.images import shrink
from polyp.errors import DataError, UsageError, look_up
from polyp.run.metadata import check_metadata
from polyp.run.onnxgraph import cut_at

Size = tuple[int, int]


class Engine(Protocol):
    """A network that is ready to look at pictures.

    `size` is the height and width it was trained at. Probabilities are float32 (H, W), 0 to 1, of a picture
    uint8 RGB (H, W, 3).
    """

    size: Size

    def probs(self, image: np.ndarray, mirror: bool = False) -> np.ndarray:
        """The probability of polyp in every pixel; with `mirror` the mean of four looks."""

    def confirm(self, image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        """The mean of four looks, mirrored each way, of which the first gave `probs`."""


class TorchEngine:
    """A network in PyTorch, on its device.

    Args:
        model: in evaluation mode.
        size: height and width it was trained at.
        level: prune a UNet++ to this level.
        precision: auto, fp32 or bf16.
    """

    def __init__(self, model: Any, size: Size, level: int | None = None, precision: str = "auto"):
        model.ensure_level(level)
        self.model, self.size = model, size
        self.options: dict[str, Any] = {"level": level, "precision": precision}

    def probs(self, image: np.ndarray, mirror: bool = False) -> np.ndarray:
        from polyp.run.inference import predict_probs

        return predict_probs(self.model, image, self.size, mirror=mirror, **self.options)

    def confirm(self, image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        from polyp.run.inference import confirm

        return confirm(self.model, image, self.size, probs, **self.options)


class OnnxEngine:
    """A network that `polyp export` has written, run by ONNX Runtime on the CPU.

    Args:
        path: the `.onnx` file.
        level: use the head of this level, and compute only what it needs.

    Raises:
        UsageError: ONNX Runtime is not installed; no such level.
        DataError: the file cannot be read, or `polyp` did not write it.
    """

    def __init__(self, path: str | Path, level: int | None = None):
        try:
            import onnxruntime
        except ImportError:
            raise UsageError("onnxruntime is not installed: pip install onnxruntime") from None
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised; they need no second line
        if threads := os.environ.get("OMP_NUM_THREADS", ""):
            options.intra_op_num_threads = int(threads) if threads.isdigit() else 0
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.metadata = json.loads(self.session.get_modelmeta().custom_metadata_map["polyp"])
            height, width = self.metadata["config"]["size"]
            self.stride = int(self.metadata["stride"])
            names = {int(name.removeprefix("level_")): name for name in self.metadata["levels"]}
            if not names or min(height, width, self.stride, *names) < 1:
                raise ValueError("no level, or a size below 1")
        except (KeyError, ValueError, TypeError, AttributeError):
            raise DataError(f"{path}: an ONNX file that `polyp export` did not write") from None
        except Exception as error:  # ONNX Runtime's own kinds
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"{path}: damaged, or no ONNX file ({reason})") from None
        self.size: Size = (int(height), int(width))
        check_metadata(self.metadata, path)
        if level is not None and level not in names:
            raise UsageError(f"level is {level}; {path} has {', '.join(map(str, names))}")
        self.output = names[max(names) if level is None else level]
        if level is not None and len(names) > 1:
            cut = cut_at(path.read_bytes(), self.output)
            self.session = onnxruntime.InferenceSession(cut, options, providers=["CPUExecutionProvider"])

    def probs(self, image: np.ndarray, mirror: bool = False) -> np.ndarray:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(f"image is {image.dtype} {image.shape}; expected uint8 RGB (H, W, 3)")
        small = shrink(image, self.size)
        probs = self._look(small, image.shape[:2], ())
        if np.isnan(probs).any():
            raise DataError("the network answers with NaN; the file is broken")
        return self._look_again(small, probs) if mirror else probs

    def confirm(self, image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        return self._look_again(shrink(image, self.size), probs)

    def _look(self, small: np.ndarray, out_size: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
        """The probabilities (H, W) for a picture (h, w, 3) that is mirrored along `axes`, mirrored back."""
        height, width = small.shape[:2]
        turned = np.flip(small, axes)
        padded = np.pad(turned, ((0, -height % self.stride), (0, -width % self.stride), (0, 0)), "edge")
        batch = np.ascontiguousarray(padded.transpose(2, 0, 1)[None])  # (1, 3, h, w)
        logits = self.session.run([self.output], {"image": batch})[0][0, 0, :height, :width]
        logits = np.ascontiguousarray(np.flip(logits, axes))
        large = cv2.resize(logits, (out_size[1], out_size[0]), interpolation=cv2.INTER_LINEAR)
        return 1 / (1 + np.exp(-np.clip(large, -80, 80)))  # beyond, the exponential overflows float32

    def _look_again(self, small: np.ndarray, probs: np.ndarray) -> np.ndarray:
        others = [self._look(small, probs.shape, axes) for axes in ((1,), (0,), (0, 1))]
        return (probs + sum(others)) / 4


def open_torch(
    path: Path | None, level: int | None, device: str, precision: str
) -> tuple[Engine, dict[str, Any]]:
    """A checkpoint in PyTorch, and its metadata."""
    from polyp.config import Config
    from polyp.run.checkpoint import load_model
    from polyp.run.hardware import to_device

    model, metadata = load_model(path)
    size = Config.from_dict(metadata["config"]).size
    return TorchEngine(to_device(model, device), size, level, precision), metadata


def open_onnx(
    path: Path | None, level: int | None, device: str, precision: str
) -> tuple[Engine, dict[str, Any]]:
    """An exported network, by default the one that ships, and its metadata."""
    if device == "cuda" or precision == "bf16":
        raise UsageError("ONNX Runtime computes in float32 on the CPU here; use --engine torch")
    engine = OnnxEngine(SHIPPED_ONNX if path is None else path, level)
    return engine, engine.metadata


SHIPPED_ONNX = Path(__file__).parent / "weights" / "unetpp-efficientnet-lite2.onnx"
ENGINES = {"torch": open_torch, "onnx": open_onnx}


def open_engine(
    path: str | Path | None = None,
    engine: str = "auto",
    level: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> tuple[Engine, dict[str, Any]]:
    """A network by whichever engine is there, and the metadata that say how to use it.

    Args:
        path: a checkpoint, an exported `.onnx` file, or a name of weights that ship; by default the model
            that comes with the package, which ships in both forms.
        engine: torch, onnx, or auto: what the file is for; for the model that ships PyTorch on a GPU, else
            ONNX Runtime where it is installed, which is faster on a CPU.
        level, device, precision: see `TorchEngine`.

    Raises:
        UsageError, DataError: an engine that is not installed; a file that it cannot read.
    """
    path = None if path is None else Path(path)
    exported = path is not None and path.suffix.lower() == ".onnx"
    if engine == "auto":
        engine = "onnx" if exported or (path is None and _prefer_onnx(device, precision)) else "torch"
    if path is not None and exported != (engine == "onnx"):
        wanted = "an .onnx file, as `polyp export` writes" if engine == "onnx" else "a checkpoint"
        raise UsageError(f"{path}: --engine {engine} needs {wanted}")
    return look_up(ENGINES, "engine", engine)(path, level, device, precision)


def _prefer_onnx(device: str, precision: str) -> bool:
    from importlib.util import find_spec

    if find_spec("onnxruntime") is None or device == "cuda" or precision == "bf16":
        return False
    if find_spec("torch") is None or device == "cpu" or shutil.which("nvidia-smi") is None:
        return True
    import torch  # only now: it takes a second, and most machines without a GPU have no such program

    return not torch.cuda.is_available()
