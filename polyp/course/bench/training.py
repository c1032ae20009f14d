"""A training step: against the plain recipe and MONAI's network, and how near to the hardware's limit."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from polyp.config import Config, configure
from polyp.course.bench.turns import Gemm, Plan, Section, Timed, take_turns, with_usual_memory
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.metrics import count_pixels, iou_score
from polyp.model.network import build_model
from polyp.run.hardware import autocast, has_fast_bf16, to_device, to_training_device
from polyp.run.levels import multiply_adds
from polyp.run.training import make_optimizer

WIDTHS = (32, 64, 128, 256, 512)
PLAIN = "plain PyTorch: fp32, NCHW, .item() and NumPy IoU each step"
MONAI = "MONAI BasicUNetPlusPlus, the plain recipe"
NO_MONAI = "MONAI is not compared: it is not installed (pip install monai), or the bench is --quick"
Batch = tuple[Tensor, Tensor]


def measure(plan: Plan, folder: Path) -> Section:
    """The full-width UNet++ with deep supervision."""
    config = Config(widths=(8, 16, 32, 64, 128) if plan.quick else WIDTHS)
    batch = random_batch(plan, (128, 128) if plan.quick else (256, 256), 2 if plan.quick else 8)
    models = {
        f"ours: {_precision(plan)}, nothing fetched": our_step(config, plan, batch),
        PLAIN: plain_step(build_model(config).to(plan.device), plan, batch),
    }
    notes = []
    if _has_monai(plan):
        models[MONAI] = plain_step(monai_network(config.widths).to(plan.device), plan, batch)
    else:
        notes.append(NO_MONAI)
    title = f"A training step: UNet++ with widths {config.widths}, {_size(batch[0])}, batch {len(batch[0])}"
    return _section(title, models, plan, batch, config, notes, PLAIN)


def measure_forward(plan: Plan, folder: Path) -> Section:
    """The same network looking at the same batch, without learning."""
    config = Config(widths=(8, 16, 32, 64, 128) if plan.quick else WIDTHS)
    image, _ = random_batch(plan, (128, 128) if plan.quick else (256, 256), 2 if plan.quick else 8)
    ways: dict[str, Callable[[], object]] = {
        f"ours: {_precision(plan)}, channels_last": _forward(
            to_device(build_model(config)), plan, image, "auto"
        ),
        "plain PyTorch: fp32, NCHW": with_usual_memory(
            _forward(build_model(config).to(plan.device), plan, image, "fp32")
        ),
    }
    if _has_monai(plan):
        network = monai_network(config.widths).to(plan.device)
        ways["MONAI BasicUNetPlusPlus, fp32, NCHW"] = with_usual_memory(
            _forward(network, plan, image.float(), "fp32")
        )
    times = take_turns(ways, plan.rounds, "plain PyTorch: fp32, NCHW")
    rows = [
        {"way": name, "ms_per_frame": 1000 * timed.seconds / plan.steps / len(image), "ratio": timed.ratio}
        for name, timed in times.items()
    ]
    title = f"Inference: UNet++ with widths {config.widths}, {_size(image)}, batch {len(image)}"
    return Section(title, rows, () if _has_monai(plan) else (NO_MONAI,))


def _forward(network: nn.Module, plan: Plan, image: Tensor, precision: str) -> Callable[[], object]:
    network.eval()

    @torch.inference_mode()
    def look() -> object:
        with autocast(image.device, precision):
            return [network(image) for _ in range(plan.steps)]

    return look


def measure_shipped(plan: Plan, folder: Path) -> Section:
    """The network of preset `transfer`, in each precision."""
    config = configure("transfer", pretrained=False)
    batch = random_batch(plan, (128, 128) if plan.quick else config.size, 2 if plan.quick else 8)
    models = {PLAIN: plain_step(build_model(config).to(plan.device), plan, batch)}
    models["ours, fp32"] = our_step(config, plan, batch, "fp32")
    notes = []
    if has_fast_bf16(plan.device):
        models["ours, bf16"] = our_step(config, plan, batch, "bf16")
    else:
        notes.append("bf16 is emulated on this processor, so it is not measured")
    title = f"A training step: EfficientNet-Lite0 UNet++, {_size(batch[0])}, batch {len(batch[0])}"
    return _section(title, models, plan, batch, config, notes, PLAIN)


def our_step(config: Config, plan: Plan, batch: Batch, precision: str = "auto") -> Callable[[], object]:
    """A turn of steps as `polyp.train` takes them; the numbers are fetched after the last."""
    model = to_training_device(build_model(config), precision=precision).train()
    optimizer, (image, target) = make_optimizer(model, config), batch

    def steps() -> list[float]:
        kept = []
        for _ in range(plan.steps):
            with autocast(plan.device, precision):
                outputs = model(image)
                loss = deep_supervision(bce_dice_loss, outputs, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            iou = iou_score(count_pixels(outputs[-1].detach() > 0, target > 0)).nanmean()
            kept.append(torch.stack([loss.detach(), iou]))
        return torch.stack(kept).flatten().tolist()

    return steps


def plain_step(model: nn.Module, plan: Plan, batch: Batch) -> Callable[[], object]:
    """A turn of steps as most tutorials take them: float32, each number fetched, IoU in NumPy."""
    optimizer, (image, target) = torch.optim.AdamW(model.train().parameters()), batch

    def steps() -> list[float]:
        kept = []
        for _ in range(plan.steps):
            outputs = model(image.float())
            loss = deep_supervision(bce_dice_loss, tuple(outputs), target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            pred, true = outputs[-1].detach().cpu().numpy() > 0, target.cpu().numpy() > 0
            iou = np.mean((pred & true).sum(axis=(1, 2, 3)) / (pred | true).sum(axis=(1, 2, 3)))
            kept += [loss.item(), float(iou)]
        return kept

    return with_usual_memory(steps)


def _has_monai(plan: Plan) -> bool:
    return not plan.quick and find_spec("monai") is not None  # its import alone takes seconds


def monai_network(widths: tuple[int, ...]) -> nn.Module:
    """MONAI's UNet++ of equal widths, with our activation and normalisation."""
    from monai.networks.nets import BasicUNetPlusPlus

    return BasicUNetPlusPlus(
        spatial_dims=2,
        out_channels=1,
        in_channels=3,
        features=(*widths, widths[0]),
        deep_supervision=True,
        act=("relu", {"inplace": True}),
        norm=("batch", {"affine": True}),
    )


def random_batch(plan: Plan, size: tuple[int, int], frames: int) -> Batch:
    """Noise, image uint8 (N, 3, H, W) and mask {0, 1} (N, 1, H, W): speed does not depend on what is seen."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (frames, 3, *size), dtype=torch.uint8, generator=generator)
    target = torch.randint(0, 2, (frames, 1, *size), dtype=torch.uint8, generator=generator)
    return image.to(plan.device), target.to(plan.device)


def step_gflop(config: Config, size: tuple[int, int]) -> float:
    """GFLOP of the convolutions per frame; a multiply-add counts as two, and backward as twice forward."""
    with torch.device("meta"):
        model = build_model(config).eval()
        return 3 * 2 * multiply_adds(model, size, model.depth) / 1e9


def _size(image: Tensor) -> str:
    return " x ".join(map(str, image.shape[-2:]))


def _precision(plan: Plan) -> str:
    return "bf16" if has_fast_bf16(plan.device) else "fp32"


def _section(
    title: str,
    steps: dict[str, Callable[[], object]],
    plan: Plan,
    batch: Batch,
    config: Config,
    notes: list[str],
    reference: str,
) -> Section:
    dtypes = {"fp32": torch.float32}
    if has_fast_bf16(plan.device):
        dtypes["bf16"] = torch.bfloat16
    products = {name: Gemm(dtype, plan.device) for name, dtype in dtypes.items()}
    times = take_turns(steps | products, plan.rounds, reference)
    rates = {name: product.gflop / times.pop(name).seconds for name, product in products.items()}
    frames, gflop = plan.steps * len(batch[0]), step_gflop(config, (batch[0].shape[-2], batch[0].shape[-1]))

    def row(name: str, timed: Timed) -> dict:
        found = {"way": name, "ms_per_frame": 1000 * timed.seconds / frames, "ratio": timed.ratio}
        found |= {"lowest": timed.lowest, "highest": timed.highest}
        if name != MONAI:  # its network has other operations
            dtype = "bf16" if "bf16" in name else "fp32"
            found["share_of_gemm"] = gflop * frames / timed.seconds / rates[dtype]
        return found

    rate = ", ".join(f"{dtype} {value:.0f} GFLOP/s" for dtype, value in rates.items())
    notes = [f"a step is {gflop:.1f} GFLOP per frame; a matrix product alone reaches {rate}", *notes]
    return Section(title, [row(name, timed) for name, timed in times.items()], tuple(notes))
