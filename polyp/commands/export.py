"""`polyp export`: a network for programs without PyTorch."""

import sys
from pathlib import Path
from typing import Any

from polyp.errors import UsageError


def add(commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a checkpoint for programs without PyTorch (ONNX)",
        description="Write a network as ONNX, checked against PyTorch, for ONNX Runtime, C++ or a browser:\n"
        "uint8 RGB (N, 3, H, W) in, H and W multiples of its stride; the logits of every level out.",
    )
    export.add_argument(
        "checkpoint", type=Path, nargs="?", help="a .safetensors file (default: the shipped model)"
    )
    export.add_argument(
        "--out", type=Path, metavar="FILE", help="default: the checkpoint's name, .onnx, in this folder"
    )
    export.add_argument(
        "--format", choices=("onnx", "pt2"), default="onnx", help="pt2 is torch.export's (default: onnx)"
    )
    export.add_argument("--level", type=int, metavar="N", help="prune a UNet++ to this level")
    export.add_argument(
        "--int8",
        action="store_true",
        help="in 8-bit integers, calibrated on training frames and checked on validation frames (ONNX only)",
    )
    export.add_argument("--data", metavar="NAME", help="with --int8: other data than the checkpoint's own")
    export.add_argument("--data-path", type=Path, metavar="DIR", help="with --int8: where the data are")
    export.add_argument(
        "--frames", type=int, metavar="N", help="with --int8: how many to calibrate on (default 32)"
    )
    export.add_argument("--half", action="store_true", help="store the weights in half precision (ONNX only)")
    export.set_defaults(run=run)


def run(args) -> int:
    from polyp.run.checkpoint import find_checkpoint, load_model, shipped_model
    from polyp.run.export import export_onnx, export_torch

    if args.half and args.format != "onnx":
        raise UsageError("--half stores ONNX weights; it has no meaning with --format pt2")
    if args.int8 and (args.half or args.format != "onnx"):
        raise UsageError("--int8 stores ONNX weights in integers; give no --half, no --format pt2 beside it")
    for flag in ("data", "data_path", "frames"):
        if getattr(args, flag) is not None and not args.int8:
            raise UsageError(f"--{flag.replace('_', '-')} says what to calibrate on; it needs --int8")
    source = shipped_model() if args.checkpoint is None else find_checkpoint(args.checkpoint)
    model, metadata = load_model(source)
    out = args.out or Path(f"{source.stem}{'-int8' if args.int8 else ''}.{args.format}")
    if out.exists():
        raise UsageError(f"{out}: exists already; name another file with --out")
    if args.int8:
        return _export_int8(args, model, metadata, out)
    if args.format == "onnx":
        print(export_onnx(model, metadata, out, args.level, args.half))
    else:
        print(export_torch(model, out, args.level))
    return 0


def _export_int8(args, model, metadata: dict[str, Any], out: Path) -> int:
    from polyp.run.info import table_lines
    from polyp.run.int8 import FRAMES, export_int8

    frames = FRAMES if args.frames is None else args.frames
    found = export_int8(
        model, metadata, out, data=args.data, data_path=args.data_path, frames=frames, level=args.level,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    print(f"calibrated on {found.calibrated}; checked on {found.checked}")
    print(f"its masks against those in fp32: mean Dice {found.agreement:.4f}")
    print("\n".join(table_lines(found.rows) or ["no validation frames with a polyp are there: no Dice"]))
    print(found.path)
    return 0
