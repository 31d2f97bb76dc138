"""How sphinx builds the documents: built-in theme, no network, warnings are errors (``make docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sip_p2p

project = "sip_p2p"
author = "the sip_p2p authors"
release = version = sip_p2p.__version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "A SIP party for Twisted that needs no registrar",
    "page_width": "1100px",
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Two classes have this name; what a connection manager takes is the protocol, not the one that keeps a trace.
autodoc_type_aliases = {"Tap": "sip_p2p.transport.driver.Tap"}
autodoc_default_options = {"members": True, "show-inheritance": True}
