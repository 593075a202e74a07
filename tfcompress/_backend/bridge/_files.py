"""Saved models in and out, whichever Keras wrote them, and the fingerprint of a model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.bridge._own import register_own_classes
from tfcompress._backend.bridge._safe import is_refusal, safe_loading
from tfcompress._backend.graph._flavour import flavour
from tfcompress._backend.keras._copy import first_line
from tfcompress._backend.keras._keep import quietly
from tfcompress.core._errors import ArtifactError, ModelError
from tfcompress.core._types import Model


def load_model(path: str | os.PathLike[str], *, trusted: bool = False) -> Model:
    """The model in a `.keras` or `.h5` file or SavedModel folder.

    It is a Keras 3 model, or a tf_keras one where only that can read the file, or where the file
    was written by Keras 2 and its layers mean something else in Keras 3 (hard_sigmoid). A compile
    state that cannot be read leaves the model uncompiled (see `compile_problem`).

    Args:
        path: the file or folder.
        trusted: whether Python code in the file may run. A Lambda layer holds such code, and it
            can do anything that you can.

    Raises:
        ModelError: there is no such file, no Keras can read it, or it asks for code to be run.
    """
    from tfcompress._backend.bridge._compile import remember_problem

    path = Path(path)
    if not path.exists():
        raise ModelError(
            f"There is no model at {str(path)!r}. Give a .keras or .h5 file or a SavedModel folder."
        )
    reasons: dict[str, Exception] = {}
    for name in _order(path):
        for compiled in (True, False):
            try:
                model = _load(name, path, compiled, trusted)
            except Exception as error:
                reasons[name] = error
                continue
            if not compiled:
                why = first_line(reasons[name])
                remember_problem(
                    model, f"The file's optimizer, loss or metrics cannot be read: {why}"
                )
            return model
    raise ModelError(_unreadable(path, reasons))


def _unreadable(path: Path, reasons: Mapping[str, Exception]) -> str:
    why = "; ".join(f"{name}: {first_line(error)}" for name, error in reasons.items())
    if any(is_refusal(error) for error in reasons.values()):
        return (
            f"{str(path)!r} holds or names Python code, such as a Lambda layer's, and code from a "
            f"file can do anything on this machine: it was not run. {why}. If you trust whoever "
            "made the file: load_model(path, trusted=True), or --trust for the command."
        )
    return (
        f"No Keras can read {str(path)!r}. {why}. If it has classes of your own, import the module "
        "that registers them (keras.saving.register_keras_serializable) first, or pass the model "
        "object."
    )


def _order(path: Path) -> list[str]:
    """The Kerases to try, the one that fits best first."""
    if path.is_dir() or _is_quantization_aware(path):
        return ["tf_keras"]
    if path.suffix in (".h5", ".hdf5") and _means_keras2(path):
        return ["tf_keras", "keras"]
    return ["keras", "tf_keras"]


def _is_quantization_aware(path: Path) -> bool:
    """Whether the configuration in a file or folder speaks of TFMOT's quantization wrappers."""
    try:
        if path.is_dir():
            return b"QuantizeWrapper" in (path / "keras_metadata.pb").read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                return b"QuantizeWrapper" in file.read("config.json")
        return "QuantizeWrapper" in _hdf5_attribute(path, "model_config")
    except Exception:  # a damaged file raises whatever its reader does; loading it says why
        return False


def _means_keras2(path: Path) -> bool:
    """Whether Keras 2 wrote an HDF5 file that has what Keras 3 reads in another sense."""
    try:
        version = _hdf5_attribute(path, "keras_version")
        return version.startswith(("1.", "2.")) and "hard_sigmoid" in _hdf5_attribute(
            path, "model_config"
        )
    except Exception:  # a damaged file, as above
        return False


def _hdf5_attribute(path: Path, name: str) -> str:
    import h5py

    with h5py.File(path, "r") as file:
        return str(file.attrs.get(name, ""))


def _load(name: str, path: Path, compiled: bool, trusted: bool) -> Model:
    from tfcompress._backend.tfmot._quantizing import quantize_scope

    register_own_classes(name)
    with contextlib.ExitStack() as stack:
        stack.enter_context(quietly())
        if _is_quantization_aware(path):
            stack.enter_context(quantize_scope())
        if not trusted:
            stack.enter_context(safe_loading(name))
        models = importlib.import_module(name).models
        model = models.load_model(str(path), compile=compiled, safe_mode=not trusted)
        if name == "keras" and compiled:
            _name_to_function(getattr(model, "_compile_metrics", None))
        return model


def _name_to_function(metrics: object) -> None:
    """Give a loaded "accuracy" its function.

    Keras 2's HDF5 files name the function; Keras 3 (3.15) keeps the name, and calls it in the
    first step.
    """
    import keras

    for metric in keras.tree.flatten(getattr(metrics, "_user_metrics", None)):
        if isinstance(getattr(metric, "_fn", None), str):
            metric._fn = keras.metrics.get(metric._fn)


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `model` to `path` (.keras, .h5, or a folder for tf_keras), whole or not at all.

    Raises:
        ArtifactError: where it cannot be written.
    """
    flavour(model)
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with quietly():
            model.save(str(partial))
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    except Exception as error:
        _remove(partial)
        raise ArtifactError(
            f"The model could not be written to {str(path)!r}: {first_line(error)}"
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def fingerprint(model: Model) -> str:
    """SHA-256 in hex of a model's options and weights, whatever it was trained with."""
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError, ValueError):
        config = [(type(layer).__name__, layer.name) for layer in model.layers]
    text = json.dumps(_lasting(config), sort_keys=True, default=_plain)
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", text).encode())
    for weights in model.get_weights():
        array = np.ascontiguousarray(weights)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


_PASSING = {
    "build_config",
    "build_input_shape",
    "batch_input_shape",
    "compile_config",
    "shared_object_id",
}


def _lasting(config: Any) -> Any:
    """A config without what depends on how the model was built, not on what it computes."""
    if isinstance(config, dict):
        return {str(key): _lasting(value) for key, value in config.items() if key not in _PASSING}
    return [_lasting(value) for value in config] if isinstance(config, (list, tuple)) else config


def _plain(part: Any) -> dict[str, object] | str:
    """What JSON can hold of a part of a configuration that is an object."""
    if not hasattr(part, "get_config"):
        return str(part)
    return {"class": type(part).__name__, "config": _lasting(part.get_config())}
