"""How Sphinx makes the site: ``make docs``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import django
from docutils.nodes import Element
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
os.environ |= {"DJANGO_SETTINGS_MODULE": "example_project.settings", "EXAMPLE_SECRET_KEY": "docs"}
django.setup()

import obsku_checkpoint  # noqa: E402 - the models need Django to be set up
from obsku_checkpoint.conf import Settings  # noqa: E402 - as above

project = "obsku_checkpoint"
version = release = obsku_checkpoint.__version__
copyright = "its contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "obsku_checkpoint"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
# What docstrings name in single backticks is a link wherever it is on a page.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
suppress_warnings = ["ref.python"]  # a name in a docstring that two things have is no link
python_use_unqualified_type_names = True
myst_heading_anchors = 3


def without_links_to_files(app: Sphinx, name: str, source: list[str]) -> None:
    """Files of the repository are not on the site: what links to them there is their name here."""
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", source[0])


def as_it_is_called(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Settings and contracts are not called; a method that is written as steps returns what the steps return."""
    if obj is Settings or arguments == "(*args, **kwargs)":
        return "", None
    return arguments, re.sub(r"^\S*Generator\[\S*Any, \S*Any, (.*)\]$", r"\1", returns or "") or None


def is_left_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Each method has an async twin, which is said once."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Async twin of") else None


def default_of_a_setting(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    module, _, setting = name.rpartition(".")
    if module == "obsku_checkpoint.conf.Settings":
        lines += ["", f"Default: ``{getattr(Settings(), setting)!r}``"]


def by_its_last_name(app: Sphinx, env: BuildEnvironment, node: Element, text: Element) -> Element | None:
    """Docstrings name what they mean without its module: a link, where only one thing has the name."""
    found = env.domains.python_domain.find_obj(env, "", "", node.get("reftarget", ""), None, 1)
    if node.get("refdomain") != "py" or len(found) != 1:
        return None
    [(name, entry)] = found
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, name)


def copy_pictures(app: Sphinx, error: Exception | None) -> None:
    """The pages show pictures by HTML, for light and dark, which Sphinx does not follow."""
    shutil.copytree(HERE / "screenshots", Path(app.outdir) / "screenshots", dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    app.add_lexer("mermaid", TextLexer)  # its drawings need somebody else's server
    app.connect("source-read", without_links_to_files)
    app.connect("autodoc-process-signature", as_it_is_called)
    app.connect("autodoc-skip-member", is_left_out)
    app.connect("autodoc-process-docstring", default_of_a_setting)
    app.connect("missing-reference", by_its_last_name)
    app.connect("build-finished", copy_pictures)
