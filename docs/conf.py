"""How Sphinx makes the site; `docs/build.py` calls it."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pages import GITHUB

import polyp

project = "Polyp segmentation, hands on"
author = "the authors of polyp-course"
copyright = "the authors of polyp-course, MIT licence"
version = release = polyp.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "rooms",
    "formulas",
]
templates_path = ["_templates"]

# Notebooks as they were run last
nb_execution_mode = "off"
nb_ipywidgets_js: dict = {}  # widgets are never live here, and their script would come from elsewhere
myst_enable_extensions = ["dollarmath", "attrs_block", "attrs_inline"]
myst_heading_anchors = 4

# The package, from its docstrings
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_math_renderer = "drawn"

html_theme = "sphinx_book_theme"
html_title = project
html_favicon = "_static/favicon.svg"
html_static_path = ["_static", *filter(None, [os.environ.get("SITE_STATIC")])]
html_css_files = ["site.css", "lab/lab.css"]
html_copy_source = False
html_context = {"repository": GITHUB, "default_mode": "auto"}
html_theme_options = {
    "repository_url": GITHUB,
    "repository_branch": "main",
    "use_repository_button": True,
    "use_download_button": False,
    "home_page_in_toc": False,
    "navbar_persistent": [],  # one search is enough
    "show_toc_level": 2,
    "article_footer_items": ["report.html"],
    "extra_footer": "For education and research. It is not a medical device.",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# What the theme writes against the rules of accessibility: its words in ours
REPAIRS = {
    '<th class="head"><p></p></th>': '<td class="head"></td>',
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def repair(app, pagename, templatename, context, doctree) -> None:
    for found, better in REPAIRS.items():
        context["body"] = context.get("body", "").replace(found, better)


def setup(app) -> None:
    app.connect("html-page-context", repair)


# The book
epub_basename = "polyp-course"
epub_show_urls = "no"
epub_tocscope = "includehidden"
epub_exclude_files = ["search.html"]
