"""Where the browsers' runtime is looked for, and what is said where it is not."""

import json

import pytest

from tfcompress._backend import litert_js as _litert_js
from tfcompress.core import ArtifactError, InterpreterError


@pytest.fixture
def package(tmp_path):
    """A folder laid out as npm lays out LiteRT.js."""
    folder = tmp_path / "node_modules" / "@litertjs"
    for name in ("core/dist/index.js", "wasm-utils/dist/index.js", "core/wasm/litert.wasm"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (folder / "core" / "package.json").write_text(json.dumps({"version": "9.9.9"}))
    return folder


def test_it_is_found_where_npm_puts_it(package, tmp_path, monkeypatch):
    inner = tmp_path / "work" / "here"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    for runtime in (_litert_js.find(), _litert_js.find(tmp_path), _litert_js.find(package)):
        assert runtime is not None
        assert runtime.version == "9.9.9"
        assert set(runtime.files) == {"core.js", "wasm-utils.js", "wasm/litert.wasm"}


def test_a_folder_without_it_is_named(tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match=r"does not hold LiteRT\.js.*npm install"):
        _litert_js.find(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert _litert_js.find() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterpreterError, match=r"needs npm.*Node\.js"):
        _litert_js.install()
