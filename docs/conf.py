"""The site: `make site` builds it, runs what the tutorials show, and fails where a link or a cell does."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

project = "cmbench"
author = copyright = "The cmbench developers"
release = version = runpy.run_path(str(HERE.parent / "version.py"))["__version__"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "index"
html_theme = "furo"
html_title = "cmbench"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_extra_path = ["record.schema.json"]
exclude_patterns = ["kernel"]

# Anchors of headings as a forge makes them, so that one link serves both.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "myst.header",
    "misc.highlighting_failure",
]  # a page may begin with a picture, an example have dots

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 900
nb_execution_raise_on_error = True
# What the kernel of the tutorials begins with.
os.environ["IPYTHONDIR"] = shutil.copytree(HERE / "kernel", Path(tempfile.mkdtemp()) / "kernel").as_posix()

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

OUTSIDE = {"README": "project/readme", "CONTRIBUTING": "project/contributing", "CHANGELOG": "project/changes"}
"""Pages that live at the root of the repository, and where the site has them."""


def _at_home(app: Any, name: str, source: list[str]) -> None:
    """Turn links to the repository's own pages into links to the site's copies."""
    up = "../" * name.count("/")
    source[0] = re.sub(
        r"\]\(\.\./(README|CONTRIBUTING|CHANGELOG)\.md", lambda found: f"]({up}{OUTSIDE[found[1]]}.md", source[0]
    )


def _copied(app: Any, docname: Path, parent: str, source: list[str]) -> None:
    """Do the same for links between pages that the site copies from the root."""
    names = {name: Path(page).name for name, page in OUTSIDE.items()}
    source[0] = re.sub(r"\]\((README|CONTRIBUTING|CHANGELOG)\.md", lambda found: f"]({names[found[1]]}.md", source[0])


def setup(app: Any) -> None:
    """Connect what Sphinx calls."""
    app.connect("source-read", _at_home)
    app.connect("include-read", _copied)
