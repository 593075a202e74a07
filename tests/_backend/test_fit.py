"""`fit` of the tf_keras copy of a Keras 3 model, in a training loop of the user's own."""

import gc
import importlib
import weakref

import numpy as np
import pytest

from tfcompress._backend.bridge._callbacks import adapt_callback
from tfcompress.core import TrainingError
from tfcompress.techniques import Prune, QuantizeAware


@pytest.fixture
def pruned(small_cnn):
    """(technique, wrapped copy of a Keras 3 model)."""
    technique = Prune(0.8)
    return technique, technique.apply(small_cnn("keras"))


def test_callbacks_of_keras_3_are_taken(pruned, digits, tmp_path):
    keras = importlib.import_module("keras")
    technique, model = pruned
    stop = keras.callbacks.EarlyStopping(monitor="accuracy", patience=0, min_delta=2.0)
    save = keras.callbacks.ModelCheckpoint(str(tmp_path / "m.weights.h5"), save_weights_only=True)
    callbacks = [*technique.callbacks(), stop, save]
    history = model.fit(digits[0][:64], digits[1][:64], epochs=5, verbose=0, callbacks=callbacks)
    assert len(history.history["loss"]) == stop.stopped_epoch + 1 == 2
    assert (tmp_path / "m.weights.h5").exists()


def test_tensorboard_becomes_that_of_the_model(tmp_path):
    import keras
    import tf_keras

    given = keras.callbacks.TensorBoard(str(tmp_path), histogram_freq=2, update_freq="batch")
    board = adapt_callback(given, "tf_keras")
    assert isinstance(board, tf_keras.callbacks.TensorBoard)
    assert (board.log_dir, board.histogram_freq, board.update_freq) == (str(tmp_path), 2, 1)


def test_a_single_callback_positional_arguments_and_data_of_keras_3(small_cnn, digits):
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            rows = slice(32 * index, 32 * index + 32)
            return digits[0][rows], digits[1][rows]

    model = QuantizeAware().apply(small_cnn("keras"))
    seen = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    model.fit(Batches(), None, None, 1, 0, note, validation_data=Batches())
    assert seen == [0, 1]
    history = model.fit(digits[0][:64], digits[1][:64], 32, 1, 0)
    assert np.isfinite(history.history["loss"][0])


def test_forgotten_callbacks_are_one_clear_line(pruned, digits):
    technique, model = pruned
    with pytest.raises(TrainingError, match=r"callbacks=\[\*technique\.callbacks\(\), \.\.\.\]"):
        model.fit(digits[0][:32], digits[1][:32], verbose=0)
    technique.strip(model).fit(digits[0][:32], digits[1][:32], verbose=0)


def test_a_copy_that_nobody_holds_goes(small_cnn):
    reference = weakref.ref(QuantizeAware().apply(small_cnn("keras")))
    gc.collect()
    assert reference() is None
