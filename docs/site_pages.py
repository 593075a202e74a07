"""A hook of MkDocs: pages made from files that lie elsewhere, so that nothing is written twice.

The README is cut into pages by its headings, the notebooks become pages with their outputs, the
project's own files come along, and formulas become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import html
import posixpath
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import tfcompress  # noqa: E402

PAGES = {
    "install.md": ("Install", "Profiling where there is no TensorFlow", "Versions"),
    "recipes.md": ("Recipes",),
    "faq.md": ("Why did my file not shrink, or not speed up?",),
    "promises.md": ("What it promises",),
    "other_tools.md": ("Beside other tools (November 2026)",),
}
"""Page → the README's sections it is made of; the others stay on the first page."""
WHOLE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "conduct.md": "CODE_OF_CONDUCT.md",
}
REFERENCE = {
    "techniques": "Techniques",
    "training": "Training",
    "targets": "Targets",
    "analysis": "Analysis",
    "profiling": "Measuring",
    "devices": "Devices",
    "report": "Reports",
    "recipes": "Recipes",
    "zoo": "Networks and data",
    "core": "Values and errors",
    "testing": "Contracts for members of your own",
}
"""Folder → the title of its page of the reference."""
MOVED = {"notebooks": "tutorials/index.md", **{file: page for page, file in WHOLE.items()}}
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)]*)?\))")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
OBJECTS = """# {title}

{text}

::: {module}
    options:
      members: {members}
      show_root_heading: false
      show_root_toc_entry: false
"""
FACE = """From the docstrings and types of the package, for this version. What stands here is what
`import tfcompress as tfc` gives; the other pages are its folders. The words are explained in the
[glossary](../glossary.md)."""
TUTORIALS = """# Tutorials

Notebooks on scikit-learn's real digits, with what came out when they were run; nothing is
downloaded. Each takes a minute or two on two cores, and `python notebooks/make.py` runs them all.

"""


def on_config(config: Any) -> Any:
    """A page that mkdocs.yml does not name stands at the end of How-to, or of Results."""
    named = set(_names(config.nav))
    sections = {title: pages for section in config.nav for title, pages in section.items()}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        page = path.relative_to(ROOT / "docs").as_posix()
        if page not in named:
            sections["Results" if page.startswith("results/") else "How-to"].append(page)
    return config


def _names(nav: Any) -> Iterator[str]:
    """Every page of a navigation."""
    if isinstance(nav, str):
        yield nav
        return
    for part in nav.values() if isinstance(nav, dict) else nav:
        yield from _names(part)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for page, text in (*_readme(), *_whole(), *_tutorials(config, files), *_reference()):
        files.append(File.generated(config, page, content=text))
    return files


def on_page_content(html_text: str, **_: Any) -> str:
    """Write formulas as MathML."""
    return MATH.sub(_mathml, html_text)


def _readme() -> Iterator[tuple[str, str]]:
    """The README's pages."""
    first, *rest = re.split(r"^## ", (ROOT / "README.md").read_text(), flags=re.M)
    sections = {part.split("\n", 1)[0].strip(): part for part in rest}
    for page, heads in PAGES.items():
        parts = [sections.pop(head) for head in heads]
        marks = ["# " if number == 0 else "## " for number in range(len(parts))]
        yield page, _moved("".join(m + p for m, p in zip(marks, parts)))
    sections.pop("More", None)
    yield "index.md", _moved(first + "".join("## " + part for part in sections.values()))


def _whole() -> Iterator[tuple[str, str]]:
    for page, file in WHOLE.items():
        yield page, _moved((ROOT / file).read_text())


def _moved(text: str) -> str:
    """Links from the repository's root, as links from the docs folder; others are left as words."""

    def link(found: re.Match[str]) -> str:
        before, target, after = found.groups()
        if target.startswith(("http", "mailto")):
            return found[0]
        path = posixpath.normpath(target)
        path = MOVED.get(path, path.removeprefix("docs/"))
        return before + path + after

    inside = LINK.sub(link, text)
    return re.sub(r"\[([^]]+)\]\((?:LICENSE|CITATION\.cff)\)", r"`\1`", inside)


def _tutorials(config: Any, files: Files) -> Iterator[tuple[str, str]]:
    """A page for each notebook, its pictures beside it, and the list of them."""
    import nbformat
    from nbconvert import MarkdownExporter

    lines = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        resources = {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
        text, extra = MarkdownExporter().from_notebook_node(notebook, resources)
        for name, content in extra["outputs"].items():
            files.append(File.generated(config, f"tutorials/{name}", content=content))
        title = text.lstrip().splitlines()[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.stem}.md)\n")
        yield f"tutorials/{path.stem}.md", text
    yield "tutorials/index.md", TUTORIALS + "".join(lines)


def _reference() -> Iterator[tuple[str, str]]:
    """A page for the face and one for each folder, of the names that it says are public."""
    face = [name for name, home in tfcompress._HOME.items() if home != "core"]
    options = {"title": "API reference", "module": "tfcompress", "members": face, "text": FACE}
    yield "reference/index.md", OBJECTS.format(**options)
    for folder, title in REFERENCE.items():
        module = import_module(f"tfcompress.{folder}")
        options = {"title": title, "module": module.__name__, "text": ""}
        yield f"reference/{folder}.md", OBJECTS.format(**options, members=_public(module))


def _public(module: ModuleType) -> list[str]:
    """The classes and functions in `__all__`; of a module without it, those that it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return [name for name in names if callable(getattr(module, name))]


def _mathml(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    display = "block" if found[1] == "div" else "inline"
    formula = convert(html.unescape(found[2]), display=display)
    return f'<span class="formula-{display}">{formula}</span>'
