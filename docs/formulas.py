"""Formulas, drawn by MathJax while the site is built: its readers load no script and see no flicker.

On the site a formula is an SVG, with MathML for screen readers; in the book it is the MathML, which grows
with the reader's text.
"""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


@functools.cache
def mathjax(process: int) -> subprocess.Popen:
    """MathJax in Node.js, started once for each process: Sphinx forks, and two must not read one pipe.

    It ends with that process, which closes its input.
    """
    command = [shutil.which("node") or "node", str(Path(__file__).with_name("formulas.cjs"))]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def drawn(tex: str, display: bool) -> dict[str, str]:
    """A formula as `svg` and as `mathml`.

    Raises:
        ValueError: it is no TeX that MathJax understands.
        RuntimeError: Node.js has died.
    """
    node = mathjax(os.getpid())
    node.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
    node.stdin.flush()
    if not (line := node.stdout.readline()):
        raise RuntimeError(f"Node.js died while it drew the formula {tex}")
    found = json.loads(line)
    if "<merror" in found["mathml"]:
        raise ValueError(f"not TeX: {tex}")
    return found


def _visit(translator, node, display: bool) -> None:
    found = drawn(node.astext(), display)
    if translator.builder.name == "epub":
        html = found["mathml"]
    else:
        html = found["svg"].replace("<svg ", '<svg aria-hidden="true" ', 1) + found["mathml"]
    tag, kind = ("div", "formula display") if display else ("span", "formula")
    translator.body.append(f'<{tag} class="{kind}">{html}</{tag}>')
    raise nodes.SkipNode


def visit_inline(translator, node) -> None:
    _visit(translator, node, display=False)


def visit_block(translator, node) -> None:
    _visit(translator, node, display=True)


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer("drawn", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
