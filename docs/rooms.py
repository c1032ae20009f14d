"""The directive `room`: the documentation of every name that a room's `__init__.pyi` offers."""

import ast
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx


def offered(room: str) -> list[str]:
    """The names in a room's `__init__.pyi`, in its order."""
    stub = Path(importlib.import_module(room).__file__).with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]


def public_functions(module: ModuleType) -> list[str]:
    """What a module without a stub offers: functions and classes, if they are of `polyp`."""
    found = vars(module).items()
    return [
        name
        for name, thing in found
        if name[0] != "_"
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__.startswith("polyp")
    ]


def described(place: str, name: str) -> list[str]:
    """One name, as lines of reStructuredText; of a module, all that it offers."""
    thing = getattr(importlib.import_module(place), name)
    full = f"{place}.{name}"
    if inspect.ismodule(thing):
        if Path(thing.__file__).with_suffix(".pyi").exists():
            return []  # a room has a page of its own
        inside = [line for each in public_functions(thing) for line in described(full, each)]
        return [f".. py:module:: {full}", "", *inside]
    room = ".".join(getattr(thing, "__module__", "").split(".")[:2])
    if (
        inspect.isclass(thing)
        and place == "polyp"
        and name in vars(importlib.import_module(room)).get("__all__", ())
    ):
        # Sphinx wants a class documented once
        return [f".. py:class:: {full}", "", f"   :class:`{room}.{name}`, for short.", ""]
    if inspect.isclass(thing):
        return [f".. autoclass:: {full}", "   :members:", ""]
    if callable(thing):
        return [f".. autofunction:: {full}", ""]
    if isinstance(thing, Mapping):
        says = "A table with the rows " + ", ".join(f"``{key}``" for key in thing) + "."
    else:
        says = f"``{thing!r}``"
    return [f".. py:data:: {full}", "", f"   {says}", ""]


class Room(Directive):
    """`.. room:: polyp.data`"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        (room,) = self.arguments
        lines = [line for name in offered(room) for line in described(room, name)]
        place = nodes.section()
        place.document = self.state.document
        self.state.nested_parse(StringList(lines, source=room), 0, place)
        return place.children


def without_numbers_of_fields(app, what, name, thing, skip, options) -> bool | None:
    """Leave out what Python says about a NamedTuple's fields; the signature names them."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict:
    app.add_directive("room", Room)
    app.connect("autodoc-skip-member", without_numbers_of_fields)
    return {"parallel_read_safe": True}
