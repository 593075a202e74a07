"""`serve`: the web application over a study's folder or over files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.core import DataError, InterpreterError

if TYPE_CHECKING:
    from tfcompress.serve import Catalogue, Samples

NEEDED = ("fastapi", "uvicorn", "segno", "PIL", "psutil")
FOLDER = Path("tfcompress-browser")

Sources = Annotated[
    list[Path] | None, typer.Argument(help="A study's folder (or demo's), or .tflite files.")
]
Host = Annotated[
    str, typer.Option(help="Whom to listen to; 0.0.0.0: the network, with a token in the address.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")]
LiteRtJs = Annotated[
    Path | None,
    typer.Option("--litert-js", help="The folder of LiteRT.js, node_modules/@litertjs."),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", help="A further name or address that visitors ask for, as of a proxy."),
]
Rate = Annotated[
    float, typer.Option(min=0, help="Requests a second that one address may send; 0: any number.")
]
Install = Annotated[
    bool, typer.Option("--install", help="Fetch LiteRT.js with npm into the cache first.")
]
Kept = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for what visitors measure; default: browser/ in the study."),
]
SampleCount = Annotated[
    int, typer.Option("--samples", min=1, max=2000, help="Test samples that visitors run.")
]


def serve(
    sources: Sources = None,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    samples: SampleCount = 200,
    host: Host = "127.0.0.1",
    name: Names = None,
    port: Port = 8000,
    litert_js: LiteRtJs = None,
    install: Install = False,
    out: Kept = None,
    rate: Rate = 200.0,
) -> None:
    """Show a report in the browser, and try and measure its files on the visitor's device."""
    require_packages()
    from tfcompress import serve as web
    from tfcompress._backend import litert_js as browsers

    if data:
        _inputs.require_data(data, "serve shows accuracy on test data")
    runtime = browsers.install() if install else browsers.find(litert_js)
    if install:
        typer.echo(f"LiteRT.js {runtime.version if runtime else ''} is in the cache.", err=True)
    if not sources and install:
        return
    paths = require_sources(sources)
    where = web.place(host, port, name or [])
    catalogue, chosen = _catalogue(paths, kept_folder(paths, out), data, scale, samples)
    site = web.Site(catalogue, chosen, runtime)
    if runtime is None:
        typer.echo(f"Without LiteRT.js browsers run nothing themselves: {browsers.HOW}", err=True)
    web.run(site, where, rate=rate, ready=_say)
    typer.echo("Stopped.", err=True)


def _say(address: str) -> None:
    typer.echo(f"Open {address} (Ctrl-C ends the server)", err=True)


def require_packages() -> None:
    """InterpreterError where a package of the extra `web` is missing."""
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InterpreterError(
            f"The web application needs {', '.join(missing)}: pip install 'tfcompress[web]'."
        )


def require_sources(sources: list[Path] | None) -> list[Path]:
    """One folder or some files, all there; DataError where they are not."""
    if not sources:
        raise DataError("Nothing to serve: give a study's folder or .tflite files.")
    for source in sources:
        if not source.exists():
            raise DataError(f"No file or folder at {source}.")
    if len(sources) > 1 and any(source.is_dir() for source in sources):
        raise DataError("serve takes one study's folder, or .tflite files, not both.")
    return sources


def kept_folder(sources: list[Path], out: Path | None) -> Path:
    """Where measurements are kept: `out`, the study's browser/, or a folder here."""
    folder = out or (sources[0] / "browser" if sources[0].is_dir() else FOLDER)
    _output.require_folder(folder)
    return folder


def _catalogue(
    sources: list[Path], kept: Path, data: str, scale: str, count: int
) -> tuple[Catalogue, Samples | None]:
    """The files and the samples, from a folder or from files."""
    from tfcompress import serve as web

    if sources[0].is_dir():
        catalogue = web.of_folder(sources[0], kept)
        first = next(iter(catalogue.files.values())).path
        return catalogue, _samples(data, first, scale, count)[0]
    chosen, evaluate = _samples(data, sources[0], scale, count)
    return web.of_files(sources, kept, evaluate=evaluate), chosen


def _samples(
    name: str, file: Path, scale: str, count: int
) -> tuple[Samples | None, tuple[object, object] | None]:
    """Samples for visitors, and the whole test data; None twice without a name."""
    from tfcompress import serve as web

    if not name:
        return None, None
    data, _ = _inputs.data_for_file(name, file, scale)
    chosen = web.chosen(data.x_test, data.y_test, count, classes=data.class_names)
    return chosen, (data.x_test, data.y_test)
