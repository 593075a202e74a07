"""The packages that a file depends on, and which versions of them are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "tfcompress",
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
)


def installed(package: str) -> str | None:
    """The version of an installed package; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """The versions of everything that a file depends on; missing packages are left out."""
    found = {package: installed(package) for package in PACKAGES}
    return {package: number for package, number in found.items() if number is not None}
