"""Distillation: the loss against NumPy in float64, a teacher that teaches, and each wrong call."""

import importlib

import numpy as np
import pytest

from tfcompress.core import DataError, ModelError, TrainingError
from tfcompress.training import Distill, Fit
from tfcompress.training import _attention as attending
from tfcompress.training import _distillation as distilling


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("kind", ["softmax", "logits"])
def test_soft_loss_is_the_formula(kind):
    rng = np.random.default_rng(0)
    labels, taught, student = (
        np.eye(5)[rng.integers(0, 5, 8)],
        rng.normal(0, 3, (8, 5)),
        rng.normal(0, 3, (8, 5)),
    )
    given = softmax(student) if kind == "softmax" else student
    temperature, alpha = 4.0, 0.7
    loss = distilling.soft_loss(kind, 5, temperature, alpha)(
        np.concatenate([labels, taught], 1), given.astype("float64")
    )
    hard = -(labels * np.log(softmax(student))).sum(-1)
    p, q = softmax(taught / temperature), softmax(student / temperature)
    soft = (p * np.log(p / q)).sum(-1)
    np.testing.assert_allclose(loss, (1 - alpha) * hard + alpha * temperature**2 * soft, rtol=1e-4)


def test_soft_loss_of_one_sigmoid_is_the_formula():
    rng = np.random.default_rng(1)
    labels, taught, student = (
        rng.integers(0, 2, (8, 1)).astype(float),
        rng.normal(0, 3, (8, 1)),
        rng.normal(0, 3, (8, 1)),
    )
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    loss = distilling.soft_loss("sigmoid", 1, 2.0, 0.5)(
        np.concatenate([labels, taught], 1), sigmoid(student)
    )
    p, q, s = sigmoid(taught / 2), sigmoid(student / 2), sigmoid(student)
    hard = -(labels * np.log(s) + (1 - labels) * np.log(1 - s))
    soft = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    np.testing.assert_allclose(loss, (0.5 * hard + 0.5 * 4 * soft)[:, 0], rtol=1e-4)


def test_attention_map_is_normalised_energy():
    a = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype("float32")
    energy = (a.astype("float64") ** 2).sum(-1).reshape(3, -1)
    np.testing.assert_allclose(
        attending.attention_map(a),
        energy / np.linalg.norm(energy, axis=1, keepdims=True),
        rtol=1e-5,
    )


def student_of(flavour, classes=10, name="student"):
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="early")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="late")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x), name=name)


@pytest.fixture(scope="module")
def teacher(trained_cnn):
    return trained_cnn("keras")


@pytest.mark.parametrize("attention", [None, "auto", {"late": "relu2"}])
def test_student_learns_from_labels_that_only_the_teacher_knows(
    attention, keras_flavour, teacher, digits
):
    x, y, x_test, y_test = digits
    before = [np.array(w) for w in teacher.get_weights()]
    student = student_of(keras_flavour)
    wrong = np.random.default_rng(0).permutation(
        y
    )  # the labels say nothing: what is learned comes from the teacher
    Distill(
        teacher,
        x,
        wrong,
        alpha=1.0,
        attention=attention,
        beta=10.0,
        epochs=12,
        optimizer="adam",
        seed=0,
    )(student)
    assert (student.predict(x_test, verbose=0).argmax(1) == y_test).mean() > 0.8
    assert all(np.array_equal(a, b) for a, b in zip(before, teacher.get_weights()))


def test_teacher_is_asked_once(teacher, digits):
    distill = Distill(
        teacher, digits[0], digits[1], validation_data=(digits[2], digits[3]), early_stopping=2
    )
    distill(student_of("keras"))
    kept = {key: value[0] for key, value in distill._answers.items()}
    distill(student_of("keras"))
    assert len(kept) == 2
    assert all(distill._answers[key][0] is value for key, value in kept.items())


def test_works_as_the_trainer_of_a_technique(keras_flavour, teacher, digits):
    from tfcompress.techniques import Prune

    student = student_of(keras_flavour)
    student.compile("adam", "sparse_categorical_crossentropy")
    prune = Prune(0.5)
    wrapped = prune.apply(student)
    Distill(teacher, digits[0], digits[1], epochs=2)(wrapped, prune.callbacks())
    stripped = prune.strip(wrapped)
    prune.check(student, stripped)
    assert np.mean(stripped.get_layer("late").get_weights()[0] == 0) >= 0.49


def test_auto_pairs_leave_small_maps_out_unless_there_are_no_others(teacher, digits):
    """teacher and student have maps of 8 × 8 and 4 × 4; a mean over 16 positions weighs four times
    one over 64.
    """
    import keras

    distill = Distill(teacher, digits[0], digits[1], attention="auto")
    assert list(distill._pairs(student_of("keras"))) == ["early"]
    inputs = keras.layers.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="half")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="quarter")(x)
    small = keras.Model(
        inputs, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(x))
    )
    assert list(distill._pairs(small)) == ["half"]


def test_attention_needs_no_fit_of_sizes(teacher, digits):
    """The student's maps of 4 × 4 come to look like the teacher's of 8 × 8, once they are
    resized.
    """
    x, y = digits[0][:64], digits[1][:64]
    size = attending.spatial_size(teacher, "conv1")
    wanted = attending.attention_map(attending.with_outputs(teacher, ["conv1"])(x)[1])

    def distance(student):
        activations = attending.with_outputs(student, ["late"])(x)[1]
        return float(np.mean(attending.attention_loss(size)(wanted, activations)))

    student = student_of("keras")
    assert attending.spatial_size(student, "late") == (4, 4) != size
    before = distance(student)
    options = {"attention": {"late": "conv1"}, "alpha": 0.0, "epochs": 8}
    Distill(teacher, x, y, **options)(student)
    assert distance(student) < 0.8 * before


def first_loss(student, **options):
    """The loss before anything is learned."""
    import keras

    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(logs["loss"]))
    still = keras.optimizers.SGD(0.0)
    Distill(**options, batch_size=64, optimizer=still, callbacks=[note])(student)
    return seen[0]


def test_attention_counts_beta_times(teacher, digits):
    x, y = digits[0][:64], digits[1][:64]
    given = {"teacher": teacher, "x": x, "y": y, "attention": {"early": "conv1"}}
    student = student_of("keras")
    none, once, more = (first_loss(student, **given, beta=beta) for beta in (0.0, 1.0, 100.0))
    mine = attending.with_outputs(student, ["early"])(x)[1]
    theirs = attending.attention_map(attending.with_outputs(teacher, ["conv1"])(x)[1])
    term = float(np.mean(attending.attention_loss((8, 8))(theirs, mine)))
    assert once - none == pytest.approx(term, rel=1e-2)
    assert more - none == pytest.approx(100 * term, rel=1e-3)


def test_maps_of_many_images_are_asked_for_batch_by_batch(
    keras_flavour, teacher, digits, monkeypatch
):
    from tfcompress.training import _distill

    x, y = digits[0][:96], digits[1][:96]
    options = {"attention": "auto", "batch_size": 32, "seed": 3, "optimizer": "sgd"}
    held = (digits[2][:64], digits[3][:64], np.ones(64, "float32"))
    monkeypatch.setattr(_distill, "KEPT_BYTES", 64 * 4 * 95)
    student = student_of(keras_flavour)
    before = [w.copy() for w in student.get_weights()]
    distill = Distill(teacher, x, y, validation_data=held, **options)
    distill(student)
    assert len(distill._answers) == 1  # of the validation data, whose maps are few enough
    assert all(not np.array_equal(a, b) for a, b in zip(before, student.get_weights()))
    data = distill._data(student, ("conv1",), ((8, 8),), 10)["x"]
    batches = [data[index] for index in range(len(data))]
    assert [len(batch[0]) for batch in batches] == [32, 32, 32]
    labels = np.concatenate([batch[1][0][:, :10].argmax(1) for batch in batches])
    assert sorted(labels) == sorted(y) and not np.array_equal(labels, y)
    seen = np.concatenate([batch[0] for batch in batches])
    kept = Distill(teacher, seen, labels)._taught(seen, labels, 10, ("conv1",), ((8, 8),))
    for index, whole in enumerate(kept):
        parts = [batch[1][index] for batch in batches]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-4)


@pytest.mark.parametrize("attention", [None, "auto"])
def test_validation_data_with_weights(attention, keras_flavour, teacher, digits):
    """Weights of zero leave samples out: the loss is that of the rest."""
    keras = importlib.import_module(keras_flavour)
    losses = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: losses.append(logs))
    x, y, half = digits[2][:64], digits[3][:64], np.repeat([1.0, 0.0], 32).astype("float32")
    student = student_of(keras_flavour)
    options = {"optimizer": keras.optimizers.SGD(0.0), "callbacks": [note], "attention": attention}
    for held in ((x, y, half), (x, np.where(half > 0, y, 9 - y), half)):
        Distill(teacher, digits[0][:32], digits[1][:32], validation_data=held, **options)(student)
    assert losses[0]["val_loss"] == pytest.approx(losses[1]["val_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperature": 0}, TrainingError, "temperature=0"),
        ({"alpha": 1.5}, TrainingError, r"alpha=1\.5"),
        ({"beta": -1}, TrainingError, "beta=-1"),
        ({"attention": "all"}, TrainingError, "auto"),
        ({"y": np.zeros(3)}, DataError, "equally many"),
    ],
)
def test_wrong_options(teacher, digits, options, error, message):
    with pytest.raises(error, match=message):
        Distill(**{"teacher": teacher, "x": digits[0], "y": digits[1], **options})


def test_wrong_pairs_and_outputs(teacher, digits):
    x, y = digits[0][:64], digits[1][:64]
    with pytest.raises(ModelError, match="no layer 'nowhere'"):
        Distill(teacher, x, y, attention={"nowhere": "relu2"})(student_of("keras"))
    with pytest.raises(ModelError, match="dense1"):
        Distill(teacher, x, y, attention={"late": "dense1"})(student_of("keras"))
    with pytest.raises(ModelError, match=r"\(10,\), student \(3,\)"):
        Distill(teacher, x, y)(student_of("keras", classes=3))
    with pytest.raises(DataError, match="10 classes"):
        Distill(teacher, x, y + 5)(student_of("keras"))


def test_fit_and_distill_agree_when_the_teacher_says_nothing(teacher, digits):
    x, y = digits[0][:320], digits[1][:320]
    one, two = student_of("keras"), student_of("keras")
    Fit(x, y, optimizer="sgd", loss="sparse_categorical_crossentropy", seed=4)(one)
    Distill(teacher, x, y, alpha=0.0, optimizer="sgd", seed=4)(two)
    for a, b in zip(one.get_weights(), two.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", ["data set", "sequence", "function"])
def test_data_that_makes_its_own_batches(kind, keras_flavour, teacher, digits):
    """The teacher sees the student's images: with fixed batches the training is the one with
    arrays.
    """
    import tensorflow as tf

    keras = importlib.import_module(keras_flavour)
    x, y = digits[0][:256], digits[1][:256]

    class Batches(keras.utils.Sequence):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return x[64 * index : 64 * index + 64], y[64 * index : 64 * index + 64]

    def batches():
        yield from ((x[at : at + 64], y[at : at + 64]) for at in range(0, 256, 64))

    source = {
        "data set": tf.data.Dataset.from_tensor_slices((x, y)).batch(64),
        "sequence": Batches(),
        "function": batches,
    }[kind]
    student, before = student_of(keras_flavour), [w.copy() for w in teacher.get_weights()]
    untrained = [w.copy() for w in student.get_weights()]
    distill = Distill(teacher, source, attention="auto", validation_data=source)
    distill(student)
    assert all(np.array_equal(a, b) for a, b in zip(before, teacher.get_weights()))
    assert all(not np.array_equal(a, b) for a, b in zip(untrained, student.get_weights()))
    layers = ("conv1", "conv2")
    sizes = tuple(attending.spatial_size(teacher, layer) for layer in layers)
    given = distill._data(student, layers, sizes, 10)["x"]
    taught = [given[index] for index in range(4)] if kind == "sequence" else list(given)
    found = [batch[1] for batch in taught]
    fixed = Distill(teacher, x, y)._taught(x, y, 10, layers, sizes)
    for part, whole in zip(zip(*found), fixed):
        np.testing.assert_allclose(np.concatenate(part), whole, atol=2e-4)


def test_batches_that_do_not_fit(teacher, digits):
    import tensorflow as tf

    x, y = digits[0][:64], digits[1][:64]
    slices = tf.data.Dataset.from_tensor_slices
    with pytest.raises(DataError, match="yields its labels itself"):
        Distill(teacher, slices((x, y)).batch(32), y)
    with pytest.raises(DataError, match="labels 0 to 109"):
        Distill(teacher, slices((x, np.where(y == 9, 109, y))).batch(64))(student_of("keras"))
    with pytest.raises(DataError, match="no labels"):
        Distill(teacher, slices(x).batch(32))(student_of("keras"))
    with pytest.raises(DataError, match="shape"):
        Distill(teacher, slices((x[:, :5], y)).batch(32))(student_of("keras"))
    with pytest.raises(DataError, match="only once"):
        Distill(teacher, iter([(x, y)]))
