"""The web application: files tried and measured in the visitor's browser, and by this server.

Needs `pip install 'tfcompress[web]'`.
"""

from tfcompress.serve._app import create_app
from tfcompress.serve._catalogue import Catalogue, of_files, of_folder
from tfcompress.serve._run import place, run
from tfcompress.serve._samples import Samples, chosen, noise
from tfcompress.serve._site import Site

__all__ = [
    "Catalogue",
    "Samples",
    "Site",
    "chosen",
    "create_app",
    "noise",
    "of_files",
    "of_folder",
    "place",
    "run",
]
