"""Figures under a slider, drawn beforehand: it moves in JupyterLab, Colab and a page without a kernel."""

import base64
import json
from collections.abc import Hashable, Mapping, Sequence
from hashlib import sha256
from html import escape
from itertools import product

from matplotlib.figure import Figure

from polyp.course.figures.style import encode

# Without JavaScript, or in a notebook that is not yet trusted, the picture at the start stays as it is.
_PAGE = """<figure id="{id}" style="margin: 0; max-width: {width}px">
<img src="{start}" alt="{alt}" style="width: 100%">
<div class="knobs" style="display: flex; flex-wrap: wrap; gap: 0.3em 1.5em"></div>
</figure>
<script>
(() => {{
  const book = {book};
  const figure = document.getElementById("{id}"), picture = figure.querySelector("img");
  const knobs = figure.querySelector(".knobs"), at = [...book.start];
  const page = () => at.reduce((n, i, k) => n * book.labels[k].length + i, 0);
  const turn = () => {{ picture.src = book.pages[page()]; }};
  book.names.forEach((name, k) => {{
    const line = document.createElement("label"), knob = document.createElement("input");
    const said = document.createElement("output");
    Object.assign(knob, {{type: "range", min: 0, max: book.labels[k].length - 1, value: at[k]}});
    knob.style.verticalAlign = "middle";
    Object.assign(said.style, {{display: "inline-block", minWidth: "3.5em", marginLeft: "0.5em"}});
    const show = () => {{
      said.textContent = book.labels[k][at[k]];
      knob.setAttribute("aria-valuetext", book.labels[k][at[k]]);
    }};
    knob.oninput = () => {{ at[k] = +knob.value; show(); turn(); }};
    line.append(name + " ", knob, said);
    knobs.append(line);
    show();
    if (book.film && k === 0) {{
      const play = document.createElement("button");
      let clock = null;
      const stop = () => {{ clearInterval(clock); clock = null; play.textContent = "play"; }};
      play.textContent = "play";
      play.onclick = () => {{
        if (clock) return stop();
        play.textContent = "stop";
        clock = setInterval(() => {{
          if (!figure.isConnected) return stop();
          knob.value = (+knob.value + 1) % book.labels[0].length;
          knob.oninput();
        }}, book.film);
      }};
      knobs.append(play);
    }}
  }});
}})();
</script>"""


def flipbook(
    pages: Mapping[Hashable, Figure],
    alt: str,
    name: str | Sequence[str],
    start: Hashable = None,
    film: int = 0,
    scale: float = 1.5,
) -> None:
    """Show one of several figures, and a slider (or more) to turn to the others.

    Args:
        pages: a figure for each value of the slider, in its order; with several sliders, for each tuple of
            values.
        alt: what the picture shows, wherever the slider stands.
        name: what the slider changes; with several sliders, a name for each.
        start: where it stands at first, and what is seen without JavaScript; the first page by default.
        film: milliseconds per page, for a button that plays them; 0 has no button.
        scale: picture pixels for one pixel of the page.

    Raises:
        ValueError: with several sliders, a page is missing.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display  # only notebooks have it

    names = [name] if isinstance(name, str) else list(name)

    def as_key(values: Hashable) -> tuple[Hashable, ...]:
        return tuple(values) if len(names) > 1 and isinstance(values, tuple) else (values,)

    keys = [as_key(values) for values in pages]
    labels = [list(dict.fromkeys(values)) for values in zip(*keys, strict=True)]
    order = list(product(*labels))
    if missing := set(order) - set(keys):
        raise ValueError(f"no page for {dict(zip(names, sorted(missing)[0], strict=True))}")
    figures = dict(zip(keys, pages.values(), strict=True))
    first = keys[0] if start is None else as_key(start)
    sources = [_as_source(figures[key], scale) for key in order]
    width = round(100 * figures[first].get_figwidth())
    book = {
        "names": names,
        "labels": [[str(value) for value in values] for values in labels],
        "start": [values.index(value) for values, value in zip(labels, first, strict=True)],
        "film": film,
        "pages": sources,
    }
    where = {"alt": escape(alt, quote=True), "width": width, "start": sources[order.index(first)]}
    identity = "flipbook-" + sha256(json.dumps(book).encode()).hexdigest()[:12]
    html = _PAGE.format(id=identity, book=json.dumps(book).replace("</", "<\\/"), **where)
    display({"text/html": html, "text/plain": alt}, raw=True)
    for figure in figures.values():
        plt.close(figure)


def _as_source(figure: Figure, scale: float) -> str:
    kind, content = encode(figure, scale)
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
