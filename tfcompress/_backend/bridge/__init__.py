"""Between the Kerases: models carried over and back, proven equal; compile state, files."""

from tfcompress._backend.bridge._bridge import to_tf_keras
from tfcompress._backend.bridge._clone import clone, restore
from tfcompress._backend.bridge._compile import (
    carry_compile,
    compile_problem,
    copy_facts,
    make_optimizer,
    note_copy,
)
from tfcompress._backend.bridge._files import fingerprint, load_model, save_model
from tfcompress._backend.bridge._split import target_names
from tfcompress._backend.graph._flavour import flavour, require_graph, set_seed
from tfcompress._backend.graph._names import fresh_names
from tfcompress._backend.graph._walk import leaf_layers
from tfcompress._backend.keras._inputs import input_specs, predict, random_inputs

__all__ = [
    "carry_compile",
    "clone",
    "compile_problem",
    "copy_facts",
    "fingerprint",
    "flavour",
    "fresh_names",
    "input_specs",
    "leaf_layers",
    "load_model",
    "make_optimizer",
    "note_copy",
    "predict",
    "random_inputs",
    "require_graph",
    "restore",
    "save_model",
    "set_seed",
    "target_names",
    "to_tf_keras",
]
