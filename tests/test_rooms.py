"""The architecture, held by tests: who may import whom, the faces, and what each of them loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import polyp

HOUSE = Path(polyp.__file__).parent
# From the ground floor up. Rooms on one floor do not import each other.
FLOORS = [{"errors"}, {"disk", "config"}, {"data", "model"}, {"run"}, {"course"}, {"commands"}, {"__main__"}]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(file):
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported_rooms(file):
    """The rooms that a module imports, inside functions too."""
    package = ["polyp", *file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "polyp" and len(parts) > 1:
                yield parts[1]


def test_every_room_has_a_floor():
    assert {room_of(file) for file in HOUSE.rglob("*.py")} - {"__init__"} == FLOOR.keys()


def test_nobody_imports_upwards():
    arrows = {(room_of(file), room) for file in HOUSE.rglob("*.py") for room in imported_rooms(file)}
    arrows = {(a, b) for a, b in arrows if a != b and a != "__init__" and b != "__version__"}
    wrong = {(a, b) for a, b in arrows if b not in FLOOR or FLOOR[a] <= FLOOR[b]}
    assert not wrong
    assert ("run", "model") in arrows  # the reader of imports sees something
    assert len(arrows) <= 30


@pytest.mark.parametrize("room", ["", "data", "model", "run", "course"])
def test_a_face_keeps_what_it_promises(room):
    """Every public name of `__init__.pyi` is there, under its own name, and has a docstring if it can."""
    module = __import__(f"polyp.{room}".rstrip("."), fromlist=["*"])
    promised = [
        alias.asname
        for node in ast.parse((HOUSE / room / "__init__.pyi").read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(set(module.__all__)) == sorted(promised)
    for name in promised:
        value = getattr(module, name)
        if callable(value) and not isinstance(value, type(ast)):
            assert value.__doc__, name


def test_the_top_lends_few_names():
    assert 10 <= len(set(polyp.__all__) - {"course", "data", "model", "run"}) <= 20


@pytest.mark.parametrize(
    "code", ["import polyp", "import polyp.__main__ as cli; cli.build_parser().format_help()"]
)
def test_the_door_opens_without_torch(code):
    code += "; import sys; print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
