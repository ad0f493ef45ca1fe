"""One interactive page for one or several surfaces: a single HTML file that opens with no network, or follows a running sweep.

Belongs here: the page's content, HTML, scripts and its local server. Does not: measuring anything.
"""

from __future__ import annotations

from landscape.viewer.document import page, write_page, write_script
from landscape.viewer.live import LiveReader, follow

__all__ = ["LiveReader", "follow", "page", "write_page", "write_script"]
