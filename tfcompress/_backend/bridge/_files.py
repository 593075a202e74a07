"""Saved models in and out, whichever Keras wrote them, and a fingerprint of a model's options and weights."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np

from tfcompress._backend.graph._flavour import flavour
from tfcompress._backend.keras._copy import first_line
from tfcompress._backend.keras._keep import quietly
from tfcompress.core._errors import ArtifactError, ModelError


def load_model(path):
    """Load a `.keras` or `.h5` file or a SavedModel folder as a Keras 3 model, or as a tf_keras one where only that can.

    A file written by Keras 2 whose layers mean something else in Keras 3 (hard_sigmoid) is read by tf_keras. A compile state that
    cannot be read leaves the model uncompiled (see compile_problem). ModelError if the path is missing or no Keras can read it.
    """
    from tfcompress._backend.bridge._compile import remember_problem

    path = Path(path)
    if not path.exists():
        raise ModelError(
            f"There is no model at {str(path)!r}. Give a .keras or .h5 file or a SavedModel folder."
        )
    reasons = []
    for name in _order(path):
        for compiled in (True, False):
            try:
                model = _load(name, path, compiled)
            except Exception as error:
                reasons.append((name, compiled, first_line(error)))
                continue
            if not compiled:
                remember_problem(
                    model, f"The file's optimizer, loss or metrics cannot be read: {reasons[-1][2]}"
                )
            return model
    told = "; ".join(f"{name}: {reason}" for name, compiled, reason in reasons if not compiled)
    raise ModelError(
        f"No Keras can read {str(path)!r}. {told}. If it has classes of your own, import the module that registers them "
        "(keras.saving.register_keras_serializable) first, or pass the model object."
    )


def _order(path):
    if path.is_dir() or _quantization_aware(path):
        return ["tf_keras"]
    return (
        ["tf_keras", "keras"]
        if path.suffix in (".h5", ".hdf5") and _means_keras2(path)
        else ["keras", "tf_keras"]
    )


def _quantization_aware(path):
    """Whether the options in a file or SavedModel folder speak of TFMOT's quantization wrappers."""
    import h5py

    try:
        if path.is_dir():
            return b"QuantizeWrapper" in (path / "keras_metadata.pb").read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                return b"QuantizeWrapper" in file.read("config.json")
        with h5py.File(path, "r") as file:
            return "QuantizeWrapper" in str(file.attrs.get("model_config", ""))
    except (OSError, KeyError):
        return False


def _means_keras2(path):
    """Whether an HDF5 file was written by Keras 2 and uses what Keras 3 reads in another sense."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            version, config = (
                str(file.attrs.get("keras_version", "")),
                str(file.attrs.get("model_config", "")),
            )
    except OSError:
        return False
    return version.startswith(("1.", "2.")) and "hard_sigmoid" in config


def _load(name, path, compiled):
    import importlib

    from tfcompress._backend.tfmot._quantizing import quantize_scope

    with quietly(), quantize_scope() if _quantization_aware(path) else contextlib.nullcontext():
        model = importlib.import_module(name).models.load_model(str(path), compile=compiled)
        if name == "keras" and compiled:
            _name_to_function(getattr(model, "_compile_metrics", None))
        return model


def _name_to_function(metrics):
    """Keras 2's HDF5 files name the function of an "accuracy"; Keras 3 (3.15) reads the name, and calls it in the first step."""
    import keras

    for metric in keras.tree.flatten(getattr(metrics, "_user_metrics", None)):
        if isinstance(getattr(metric, "_fn", None), str):
            metric._fn = keras.metrics.get(metric._fn)


def save_model(model, path):
    """Write `model` to `path` (.keras, .h5, or a folder for tf_keras); whole or not at all, else ArtifactError."""
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
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(
            missing_ok=True
        )
        raise ArtifactError(
            f"The model could not be written to {str(path)!r}: {first_line(error)}"
        ) from error


def fingerprint(model):
    """SHA-256 (hex) of the model's options and weights: equal for equal models, whatever they were trained with."""
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError, ValueError):
        config = [(type(layer).__name__, layer.name) for layer in model.layers]
    text = json.dumps(_lasting(config), sort_keys=True, default=_plain)
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", text).encode())
    for array in model.get_weights():
        array = np.ascontiguousarray(array)
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


def _lasting(config):
    """A config without what depends on how the model was built, not on what it computes."""
    if isinstance(config, dict):
        return {str(key): _lasting(value) for key, value in config.items() if key not in _PASSING}
    return [_lasting(value) for value in config] if isinstance(config, (list, tuple)) else config


def _plain(thing):
    return (
        {"class": type(thing).__name__, "config": _lasting(thing.get_config())}
        if hasattr(thing, "get_config")
        else str(thing)
    )
