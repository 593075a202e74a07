"""Any Keras 3 or tf_keras graph → a new tf_keras Functional model with the same outputs, weights, names and flags."""

import functools

from tfcompress._backend.bridge._split import parts, target_names
from tfcompress._backend.graph._flavour import flavour, graph_of, is_layer, require_graph
from tfcompress._backend.graph._walk import (
    flat_inputs,
    flatten,
    input_names,
    nested_models,
    pack,
    replay,
    structure_of,
)
from tfcompress._backend.keras._copy import copy_layer, first_line
from tfcompress._backend.keras._state import copy_trainable, transfer
from tfcompress.core._errors import ModelError

_TF_OPERATIONS = (
    "TFOpLambda",
    "SlicingOpLambda",
    "ClassMethod",
    "InstanceMethod",
    "InstanceProperty",
)


def to_tf_keras(model, *, flatten=True, split=False):
    """A new tf_keras Functional model that computes what `model` (either Keras) computes, compiled like it where possible.

    flatten: nested models are laid flat. split: layers that TFMOT cannot quantize whole come in parts (a SeparableConv2D as
    depthwise + pointwise, a convolution or Dense with another activation as layer + Activation).
    The outputs are proven equal on random input, max|a − b| ≤ 1e-4 · max|a| + 1e-6 (2e-2 with half-precision layers);
    where a layer's tf_keras twin differs, the Keras 3 layer itself is wrapped. ModelError names a layer that cannot be carried.
    """
    from tfcompress._backend.bridge._compile import carry_compile
    from tfcompress._backend.keras._prove import Sample, unequal

    require_graph(model)
    sample, wrap = Sample(model), set()
    while True:
        carried = carry(model, flatten=flatten, split=split, wrap=wrap)
        wrong = sample.difference(carried)
        if wrong is None:
            break
        culprit = wrong.culprit(functools.partial(target_names, split=split)) if flatten else None
        if (
            culprit is None
            or id(culprit) in wrap
            or flavour(model) != "keras"
            or not is_layer(culprit)
        ):
            raise unequal(model, wrong, culprit)
        wrap.add(id(culprit))
    carry_compile(model, carried)
    return carried


def carry(model, *, flatten, split=False, wrap=()):
    """`to_tf_keras` without its proof and without compile state; layers whose id is in `wrap` are wrapped."""
    return _Carrier(split, wrap, flatten).model(model)


class _Carrier:
    """One walk over the graph; `made` maps each layer, operation and nested model to what it became."""

    def __init__(self, split, wrap, flat, made=None):
        self.split, self.wrap, self.flat = split, wrap, flat
        self.made = {} if made is None else made
        self.frozen = set()

    def model(self, model):
        import tf_keras

        self.names = target_names(model, self.split)
        self.losses = []
        if self.flat:
            for inner in nested_models(model):
                if not inner.trainable:
                    self.frozen.update(id(layer) for layer in inner._flatten_layers())
        inputs = [
            self.input(tensor, name)
            for tensor, name in zip(graph_of(model).inputs, input_names(model))
        ]
        outputs = replay(model, inputs, functools.partial(self.call, training=None))
        shapes = structure_of(model)
        made = tf_keras.Model(pack(shapes[0], inputs), pack(shapes[1], outputs), name=model.name)
        for add in self.losses:
            add(made)
        if not model.trainable and not self.flat:
            made.trainable = False
        for layer, carried in list(self.made.values()):
            if is_layer(layer) and graph_of(layer) is None:
                _copy_flags(layer, carried, id(layer) in self.frozen)
        return made

    def input(self, tensor, name):
        import tf_keras

        ragged = bool(
            getattr(tensor, "ragged", False) or type(tensor).__name__.startswith("Ragged")
        )
        sparse = bool(
            getattr(tensor, "sparse", False) or type(tensor).__name__.startswith("Sparse")
        )
        shape, dtype = tuple(tensor.shape), getattr(tensor.dtype, "name", tensor.dtype)
        return tf_keras.Input(
            shape=shape[1:],
            batch_size=shape[0],
            dtype=dtype,
            name=name,
            sparse=sparse,
            ragged=ragged,
        )

    def call(self, op, args, kwargs, node, training):
        kwargs = _own_arguments(op, kwargs, node)
        if graph_of(op) is not None:
            return self.nested(op, args, kwargs, training)
        if id(op) not in self.made:
            return self.first_call(op, args, kwargs, training)
        layers = self.made[id(op)][1]
        if not is_layer(op) or _is_tf_operation(op):
            from tfcompress._backend.bridge._wrapped import template

            tensors = template((args, kwargs))[1]
            return layers[0](tensors if len(tensors) > 1 else tensors[0])
        return _run(layers, args, _with_training(layers[0], kwargs, training))

    def nested(self, model, args, kwargs, training):
        inner = args[0] if args else kwargs["inputs"]
        if self.flat:
            training = kwargs.get("training", training)
            return replay(
                model, flat_inputs(model, inner), functools.partial(self.call, training=training)
            )
        if id(model) not in self.made:
            self.made[id(model)] = (
                model,
                [_Carrier(self.split, self.wrap, False, self.made).model(model)],
            )
        made = self.made[id(model)][1][0]
        return made(pack(structure_of(model)[0], flat_inputs(model, inner)), **kwargs)

    def first_call(self, op, args, kwargs, training):
        names = self.names[id(op)]
        if type(op).__name__ in ("AddLoss", "AddMetric") and flavour(op) == "tf_keras":
            return self.added_loss(op, args)
        if not is_layer(op) or _is_tf_operation(op):
            from tfcompress._backend.bridge._ops import carry_operation, carry_tf_operation

            layer, tensors = (carry_tf_operation if is_layer(op) else carry_operation)(
                op, args, kwargs, names[0]
            )
            outputs = layer(tensors)
            self.made[id(op)] = (op, [layer])
            return outputs
        layers, outputs = self.carry_layer(op, names, args, kwargs, training)
        self.made[id(op)] = (op, layers)
        return outputs

    def carry_layer(self, layer, names, args, kwargs, training):
        reason = None
        if id(layer) not in self.wrap:
            try:
                layers = _user_lambda(layer, names) or parts(layer, names, self.split)
                if layers is not None:
                    outputs = _run(layers, args, _with_training(layers[0], kwargs, training))
                    transfer(layer, layers)
                    return layers, outputs
            except Exception as error:
                if isinstance(error, ModelError) or flavour(layer) == "tf_keras":
                    raise _cannot(layer, error) from error
                reason = error
        try:
            wrapped = _wrap(layer, names[0], args, kwargs)
            outputs = wrapped(*args, **kwargs)
            transfer(layer, [wrapped])
        except Exception as error:
            raise _cannot(layer, error, reason) from error
        return [wrapped], outputs

    def added_loss(self, op, args):
        """tf_keras's model.add_loss / add_metric: kept by adding the same tensor to the new model."""
        tensor = args[0]
        if type(op).__name__ == "AddLoss":
            self.losses.append(lambda made: made.add_loss(tensor))
        else:
            self.losses.append(
                lambda made: made.add_metric(
                    tensor, name=op.metric_name, aggregation=op.aggregation
                )
            )
        return tensor


def _user_lambda(layer, names):
    """A tf_keras Lambda becomes one whose function survives copying."""
    import tf_keras

    if type(layer) is not tf_keras.layers.Lambda:
        return None
    from tfcompress._backend.bridge._wrapped import FunctionLayer

    return [
        FunctionLayer(
            layer.function,
            layer.mask,
            name=names[0],
            dtype=layer.dtype_policy,
            arguments=dict(layer.arguments),
        )
    ]


def _wrap(layer, name, args, kwargs):
    from tfcompress._backend.bridge._wrapped import Keras3Layer, template

    return Keras3Layer(
        copy_layer(layer), template((args, kwargs))[0], name=name, dtype=layer.dtype_policy.name
    )


def _run(layers, args, kwargs):
    outputs = layers[0](*args, **kwargs)
    for layer in layers[1:]:
        outputs = layer(outputs)
    return outputs


def _is_tf_operation(op):
    return type(op).__name__ in _TF_OPERATIONS and flavour(op) == "tf_keras"


def _own_arguments(op, kwargs, node):
    """The keyword arguments that the user gave.

    Keras 3 also records `training`, which the caller overrides anyway, and the masks it passed on by itself; tf_keras does
    both on its own, so they are left away.
    """
    if not is_layer(op) or flavour(op) != "keras":
        return kwargs
    recorded = node.arguments
    implicit = {id(getattr(tensor, "_keras_mask", None)) for tensor in recorded.keras_tensors}

    def own(key, value):
        if key == "training" or value is None:
            return False
        if key == "mask" or (key.endswith("_mask") and key != "attention_mask"):
            return any(
                id(mask) not in implicit
                for mask in flatten(recorded.kwargs[key])
                if mask is not None
            )
        return True

    return {key: value for key, value in kwargs.items() if own(key, value)}


def _with_training(layer, kwargs, training):
    """`training` given to a nested model reaches the layers inside it."""
    if training is None or "training" in kwargs or not layer._call_spec.expects_training_arg:
        return kwargs
    return {**kwargs, "training": training}


def _copy_flags(layer, carried, frozen):
    for part in carried:
        if len(carried) == 1:
            copy_trainable(layer, part)
        elif not layer.trainable:
            part.trainable = False
        if frozen:
            part.trainable = False


def _cannot(layer, error, reason=None):
    if isinstance(error, ModelError):
        return error
    why = first_line(error).rstrip(".") + (
        f" (as a tf_keras layer: {first_line(reason).rstrip('.')})" if reason is not None else ""
    )
    return ModelError(
        f"{type(layer).__name__} layer {layer.name!r} cannot be carried over to tf_keras: {why}. Replace the layer, or give its class a "
        "get_config() and a build() that rebuild it, and use only operations that run on TensorFlow tensors."
    )
