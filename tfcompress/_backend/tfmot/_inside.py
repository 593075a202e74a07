"""What TFMOT's wrappers forget of the layer inside them: its mask and its activity regularizer.

A wrapper runs the `call` of its layer, not its `__call__`, which is where Keras adds the activity
loss and hands the mask on. Without both, another network trains than the one that is shipped.
"""

from __future__ import annotations

from tfcompress.core._types import Layer


def act_as_inside(wrapper: Layer) -> Layer:
    """Let a TFMOT wrapper pass masks and add activity losses as the layer inside does; returns it.

    The losses that the layer inside still holds from the graph it was built in belong to that
    graph: read in `fit`, they end in TensorFlow's "out of scope".
    """
    layer = wrapper.layer
    layer._losses.clear()
    wrapper._activity_regularizer = layer.activity_regularizer
    wrapper.supports_masking = layer.supports_masking
    wrapper.compute_mask = layer.compute_mask
    # A `call` with **kwargs counts as one that takes a mask, which Dense's does not.
    wrapper._call_spec.expects_mask_arg = layer._call_spec.expects_mask_arg
    return wrapper
