"""What the laboratory's page loads: the bundled network for a browser, and the frames to try it on.

`write_files(folder, runtime)` writes, all of it made from what the package carries but the runtime:

    network.json             sizes, operating point, levels, nodes and wires of the network
    ort.wasm.gz              ONNX Runtime, which computes
    weights.bin.gz           the numbers of all graphs below, which hold none of their own
    level_1.onnx.gz ...      the network cut at each level: uint8 `image` (1, 3, H, W) -> float32 logits
    grid.onnx.gz             the whole network with a gate for each wire (`gates`, float32 (wires,): 1 is
                             whole, 0 is cut) and an output for each node, besides all levels
    frames.json, frames/     the pictures, what the network sees of each, and the experts' masks
"""

from pathlib import Path

from lab.frames import write_frames
from lab.graphs import write_network, write_packed


def write_files(folder: Path, runtime: Path) -> None:
    """Write all of it into `folder`, which is made; `runtime` is ONNX Runtime's `.wasm`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_packed(folder / "ort.wasm.gz", runtime.read_bytes())
    write_network(folder)
    write_frames(folder)
