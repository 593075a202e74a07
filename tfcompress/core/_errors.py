"""Every error that tfcompress raises on purpose: what came, what was expected, the next step."""


class TfcompressError(Exception):
    """Base of all errors raised by tfcompress.

    Catching it catches nothing of TensorFlow's or Python's own.
    """


class ModelError(TfcompressError, ValueError):
    """The model given cannot be taken.

    Unbuilt, subclassed, not Keras, or a layer in it cannot be carried over.
    """


class RecipeError(TfcompressError, ValueError):
    """A recipe, technique or target was written down wrongly.

    Unknown name, wrong order, value out of range.
    """


class DataError(TfcompressError, ValueError):
    """Samples, training or evaluation data do not fit the model.

    Shape, dtype, range, NaN, count, missing.
    """


class TrainingError(TfcompressError, ValueError):
    """Training cannot start.

    No trainer where one is needed, or an optimizer, loss or metric that cannot be taken over.
    """


class InvariantError(TfcompressError, RuntimeError):
    """A technique's promise does not hold in the trained model or in the file.

    Zeros, clusters, levels, wrappers.
    """


class ConversionError(TfcompressError, RuntimeError):
    """The model could not be written as a `.tflite`.

    It names the operation or layer, and the target that would take it.
    """


class ParityError(TfcompressError, RuntimeError):
    """A written file does not do what the Keras model does.

    Outputs differ beyond the bound, NaN, or other shapes.
    """


class InterpreterError(TfcompressError, RuntimeError):
    """A `.tflite` cannot be loaded or run by the interpreter asked for.

    Or that interpreter is not installed.
    """


class ArtifactError(TfcompressError, OSError):
    """An artifact could not be written or read; nothing half-written is left behind."""


class SkippedError(TfcompressError, RuntimeError):
    """`strict=True` and something was left alone; lists every layer with its reason."""
