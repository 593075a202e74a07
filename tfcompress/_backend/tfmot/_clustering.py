"""TFMOT's weight clustering, layer by layer."""

from __future__ import annotations

import numpy as np

from tfcompress._backend.tfmot._inside import act_as_inside
from tfcompress._backend.tfmot._load import load
from tfcompress.core._types import Array, Layer, Model

INITS = {
    "kmeans++": "KMEANS_PLUS_PLUS",
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "random": "RANDOM",
}


def clusters_per_channel(layer: Layer) -> bool:
    """Whether TFMOT can give each output channel of `layer` clusters of its own."""
    return type(layer).__name__ == "Conv2D" and layer.data_format == "channels_last"


def wrap_clustered(
    flat: Model, names: set[str], *, clusters: int, init: str, per_channel: bool, keep_zeros: bool
) -> Model:
    """A model over the layers of `flat` (which is used up), those in `names` in TFMOT's wrapper.

    The wrappers are made directly: `cluster_weights` counts channels by the last variable and so
    leaves every Conv2D without a bias unclustered, silently, when `per_channel` is set.
    """
    import tf_keras

    tfmot = load()
    from tensorflow_model_optimization.python.core.clustering.keras import (
        cluster_wrapper as wrappers,
    )

    layers = tf_keras.layers
    centroids = getattr(tfmot.clustering.keras.CentroidInitialization, INITS[init])

    def wrap(layer: Layer) -> Layer:
        if layer.name not in names:
            return layer
        options = (clusters, centroids, keep_zeros)
        if isinstance(layer, (layers.RNN, layers.Bidirectional)):
            wrapper = wrappers.ClusterWeightsRNN(layer, *options)
        elif isinstance(layer, layers.MultiHeadAttention):
            wrapper = wrappers.ClusterWeightsMHA(layer, *options)
        else:
            by_channel = per_channel and clusters_per_channel(layer)
            wrapper = wrappers.ClusterWeights(layer, *options, by_channel)
        return act_as_inside(wrapper)

    return tf_keras.models.clone_model(flat, clone_function=wrap)


def strip_clustered(model: Model) -> Model:
    """A model of fresh layers in the place of TFMOT's wrappers, with their clustered kernels.

    TFMOT's own `strip_clustering` gives MultiHeadAttention its weights in another order.
    """
    import tf_keras

    def without_wrapper(layer: Layer) -> Layer:
        if not _is_wrapper(layer):
            return layer
        return type(layer.layer).from_config(layer.layer.get_config())

    with model.distribute_strategy.scope():
        plain = tf_keras.models.clone_model(model, clone_function=without_wrapper)
        for wrapper in wrapped_clusters(model):
            layer: Layer = plain.get_layer(wrapper.layer.name)
            layer.set_weights(_clustered_weights(wrapper))
    return plain


def _clustered_weights(wrapper: Layer) -> list[Array]:
    """The weights of the layer inside a wrapper, in the layer's own order, kernels clustered."""
    wrapper.update_clustered_weights_associations()
    weights = wrapper.layer.get_weights()  # without the kernels, which are plain tensors now
    for position, name in sorted(wrapper.position_original_weights.items()):
        weights.insert(position, np.asarray(wrapper.get_weight_from_layer(name)))
    return [weight + 0 for weight in weights]  # −0 + 0 = 0: one bit pattern for one value


def wrapped_clusters(model: Model) -> list[Layer]:
    """TFMOT's clustering wrappers in a model; [] in a stripped one."""
    return [layer for layer in model.layers if _is_wrapper(layer)]


def _is_wrapper(layer: Layer) -> bool:
    return type(layer).__name__.startswith("ClusterWeights")
