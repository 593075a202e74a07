"""Models carried over to tf_keras, cloned and restored: equal outputs, the user's model
untouched."""

import keras

from tfcompress._backend import bridge


def tolerance_of(model):
    return 2e-2 if model.name == "mixed" else 1e-4


def test_carried_over_and_restored(any_model, models):
    before, tolerance = bridge.fingerprint(any_model), tolerance_of(any_model)
    flat = bridge.to_tf_keras(any_model, split=True)
    assert bridge.flavour(flat) == "tf_keras"
    assert not any(hasattr(layer, "layers") for layer in flat.layers)
    models.assert_same_outputs(any_model, flat, tolerance)
    flat.set_weights([w * 1.25 if w.dtype.kind == "f" else w for w in flat.get_weights()])
    restored = bridge.restore(flat, any_model)
    assert bridge.flavour(restored) == bridge.flavour(any_model)
    assert [type(layer) for layer in bridge.leaf_layers(restored)] == [
        type(layer) for layer in bridge.leaf_layers(any_model)
    ]
    models.assert_same_outputs(flat, restored, tolerance)
    assert bridge.fingerprint(any_model) == before


def test_carried_over_nested(any_model, models):
    models.assert_same_outputs(
        any_model, bridge.to_tf_keras(any_model, flatten=False), tolerance_of(any_model)
    )


def test_clone_is_equal_and_shares_nothing(any_model, models):
    copied = bridge.clone(any_model)
    assert bridge.fingerprint(copied) == bridge.fingerprint(any_model)
    models.assert_same_outputs(any_model, copied, 1e-6)
    assert not {id(layer) for layer in bridge.leaf_layers(copied)} & {
        id(layer) for layer in bridge.leaf_layers(any_model)
    }
    before = any_model.get_weights()
    copied.set_weights([w * 0 for w in copied.get_weights()])
    assert all((a == b).all() for a, b in zip(before, any_model.get_weights()))


def test_result_survives_a_copy_through_its_config(any_model, models):
    """TFMOT copies models this way; wrapped layers, Lambdas and user functions must live through
    it."""
    import tf_keras

    flat = bridge.to_tf_keras(any_model)
    copied = tf_keras.Model.from_config(flat.get_config())
    copied.set_weights(flat.get_weights())
    models.assert_same_outputs(flat, copied)


def test_what_layers_keep_is_forgotten_with_them():
    import gc

    from tfcompress._backend.keras import _keep

    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    gc.collect()
    before = len(_keep._KEPT)
    for _ in range(3):
        bridge.to_tf_keras(model)
    gc.collect()
    assert len(_keep._KEPT) == before
