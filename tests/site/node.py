"""Call a function of the laboratory's JavaScript by Node.js, outside a browser."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SOURCES = Path(__file__).parents[2] / "docs" / "lab"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")

# Arrays travel as [name of the typed array, values], both ways.
PROGRAM = """
const isArray = (v) => Array.isArray(v) && typeof v[0] === "string" && v[0].endsWith("Array");
const isObject = (v) => v && typeof v === "object" && !Array.isArray(v) && !ArrayBuffer.isView(v);
const each = (f, v) => Object.fromEntries(Object.entries(v).map(([key, held]) => [key, f(held)]));
const unpack = (v) => isArray(v) ? globalThis[v[0]].from(v[1]) : isObject(v) ? each(unpack, v) : v;
const pack = (v) => ArrayBuffer.isView(v) ? Array.from(v) : isObject(v) ? each(pack, v) : v;
const [module, name, given] = JSON.parse(require("fs").readFileSync(0, "utf8"));
import(module).then((found) => console.log(JSON.stringify(pack(found[name](...given.map(unpack))))));
"""
KINDS = {"uint8": "Uint8Array", "float32": "Float32Array"}


def call(module: str, name: str, *given: Any) -> Any:
    """What `name(...given)` of docs/lab/`module` answers; arrays go in flat, and come out as lists."""
    message = json.dumps([(SOURCES / module).as_uri(), name, [_pack(value) for value in given]])
    done = subprocess.run(["node", "-e", PROGRAM], input=message, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [KINDS[value.dtype.name], value.ravel().tolist()]
    if isinstance(value, dict):
        return {name: _pack(held) for name, held in value.items()}
    return value
