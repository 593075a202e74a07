"""What is measured of a written file before it is handed over."""

from __future__ import annotations

import math
import warnings

from tfcompress._backend import bridge as _keras
from tfcompress._backend.interpreter import _parity
from tfcompress._backend.interpreter._file import runtime_for
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.keras import _samples
from tfcompress._backend.tflite import _converter, _precision
from tfcompress.core import Check, Recipe, Stage, Target
from tfcompress.core._types import Data, Model

PARITY_INPUTS = 64
FEWEST_PARITY_INPUTS = 16
"""Where one input is large, so few are compared: as many as PARITY_VALUES input values make up."""
PARITY_VALUES = 2**22
FAKE_QUANT_ERROR = 0.1
HALF_PRECISION_ERROR = 0.02
FLOAT32_BYTES = 4
ROUNDED_AWAY = 0.7
"""A file that is so far off the model given is little better than one constant answer, which is
off by 1 of the spread and, where the outputs are a distribution, by 0.7 to 1 of the norm."""


def check_parity(model: Model, data: bytes, target: Target, samples: Data) -> Check:
    """The file against the model it was written from, on the samples or on random inputs."""
    inputs = _samples.take(model, samples, _parity_inputs(model))
    interpreter = open_interpreter(data, runtime=runtime_for(data))
    bound = target.error_bound() if samples is not None else target.max_error_on_noise
    if _precision.is_quantization_aware(model):
        # The last bit in front of a rounding flips a step behind it, in any format.
        bound = max(bound, FAKE_QUANT_ERROR)
    if _precision.is_half_precision(model):
        bound = max(bound, HALF_PRECISION_ERROR)
    parity = _parity.check_parity(
        _keras.predict(model, inputs),
        interpreter.predict(inputs),
        bound=bound,
        differing=target.max_differing_decisions if samples is not None else 1.0,
        spread=_parity.SMALLEST_SPREAD if samples is not None else _parity.SPREAD_OF_NOISE,
        what=target.label,
        steps=interpreter.output_steps(),
    )
    return Check(target.label, _parity.describe(parity), parity.error, bound)


def only_rounds(recipe: Recipe) -> bool:
    """Whether every technique of an untrained recipe only moves weights to nearby values."""
    stages = [technique.stage for technique in recipe.techniques]
    return bool(stages) and min(stages) >= Stage.SHARING


def check_rounding(model: Model, data: bytes, recipe: Recipe, samples: Data) -> Check:
    """The file against the user's own model; a warning where one constant would be as near."""
    inputs = _samples.take(model, samples, _parity_inputs(model))
    outputs = open_interpreter(data, runtime=runtime_for(data)).predict(inputs)
    parity = _parity.compare(_keras.predict(model, inputs), outputs, what=recipe.name)
    if parity.error >= ROUNDED_AWAY:
        decided = f" ({parity.decisions})" if parity.decisions else ""
        warnings.warn(
            f"{recipe.name}: rounded without training, the file is off the model given by"
            f" {parity.error:.3g} of its spread{decided}; one constant answer is off by about 1."
            " Pass fit= to train meanwhile, or round less.",
            stacklevel=3,
        )
    what = _parity.describe(parity).replace("the Keras model's", "those of the model given")
    return Check(recipe.name, what, parity.error, ROUNDED_AWAY)


def size_warnings(model: Model, target: Target, data: bytes, samples: Data) -> list[str]:
    """What is said of a file that is larger than the same model in float32."""
    if len(data) <= FLOAT32_BYTES * model.count_params():
        return []
    plain = len(_converter.convert(model, _converter.Format("float32"), samples))
    if len(data) <= plain:
        return []
    text = (
        f"{target.label}: the file has {len(data):,} bytes, more than the {plain:,} of the same"
        " model in float32. Formats pay for large weights; a recurrent layer written out step by"
        " step has operators of every step (see Int8's lstm, or take DynamicRange)."
    )
    warnings.warn(text, stacklevel=3)
    return [text]


def _parity_inputs(model: Model) -> int:
    """How many inputs are compared: fewer where one of them is large."""
    values = 0
    for _, shape, _ in _keras.input_specs(model):
        values += math.prod(size or 1 for size in shape[1:])
    return int(min(PARITY_INPUTS, max(FEWEST_PARITY_INPUTS, PARITY_VALUES // max(values, 1))))
