"""TFMOT's weight clustering, layer by layer."""

from __future__ import annotations

from typing import Any

from tfcompress._backend.tfmot._load import load

INITS = {
    "kmeans++": "KMEANS_PLUS_PLUS",
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "random": "RANDOM",
}


def clusters_per_channel(layer: Any) -> bool:
    """Whether TFMOT can give each output channel of `layer` clusters of its own."""
    return type(layer).__name__ == "Conv2D" and layer.data_format == "channels_last"


def wrap_clustered(
    flat: Any, names: set[str], *, clusters: int, init: str, per_channel: bool, keep_zeros: bool
) -> Any:
    """A model over the layers of `flat` (which is used up) in which the layers `names` carry TFMOT's clustering wrapper.

    The wrappers are made directly: `cluster_weights` counts channels by the last variable and so leaves every Conv2D
    without a bias unclustered, silently, when `per_channel` is set.
    """
    import tf_keras

    tfmot = load()
    from tensorflow_model_optimization.python.core.clustering.keras import (
        cluster_wrapper as wrappers,
    )

    centroids = getattr(tfmot.clustering.keras.CentroidInitialization, INITS[init])

    def wrap(layer):
        if layer.name not in names:
            return layer
        if isinstance(layer, (tf_keras.layers.RNN, tf_keras.layers.Bidirectional)):
            return wrappers.ClusterWeightsRNN(layer, clusters, centroids, keep_zeros)
        if isinstance(layer, tf_keras.layers.MultiHeadAttention):
            return wrappers.ClusterWeightsMHA(layer, clusters, centroids, keep_zeros)
        return wrappers.ClusterWeights(
            layer, clusters, centroids, keep_zeros, per_channel and clusters_per_channel(layer)
        )

    return tf_keras.models.clone_model(flat, clone_function=wrap)


def strip_clustered(model: Any) -> Any:
    """The layers of a wrapped `model` with their clustered kernels, without TFMOT's wrappers."""
    tfmot = load()
    names = {wrapper.layer.name for wrapper in wrapped_clusters(model)}
    with model.distribute_strategy.scope():
        plain = tfmot.clustering.keras.strip_clustering(model)
        for name in names:
            layer = plain.get_layer(name)
            layer.set_weights(
                [weight + 0 for weight in layer.get_weights()]
            )  # −0 + 0 = 0: one bit pattern for one value
    return plain


def wrapped_clusters(model: Any) -> list[Any]:
    """TFMOT's clustering wrappers in a model; [] in a stripped one."""
    return [layer for layer in model.layers if type(layer).__name__.startswith("ClusterWeights")]
