"""Walking a Keras graph node by node, and the names that its leaf layers get when nested models are laid flat."""

from tfcompress._backend.graph._flavour import flavour, graph_of, is_layer, require_graph


def replay(model, inputs, call):
    """Run `call(op, args, kwargs, node)` for every node of `model`, inputs first.

    inputs: flat list, one value for each of the model's input tensors; returns the flat list of output values.
    `op` is a layer, a nested model or a Keras 3 Operation; args and kwargs hold the values in place of the tensors.
    """
    keras3 = flavour(model) == "keras"
    graph = graph_of(model)
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            needed = node.input_tensors if keras3 else node.keras_inputs
            if node.is_input or any(id(tensor) not in values for tensor in needed):
                continue
            args, kwargs = node.arguments.fill_in(values) if keras3 else _fill_in(node, values)
            outputs = call(node.operation if keras3 else node.layer, args, kwargs, node)
            values.update(
                (id(tensor), value)
                for tensor, value in zip(flatten(node.outputs), flatten(outputs))
            )
    return [values[id(tensor)] for tensor in graph.outputs]


def _fill_in(node, values):
    import tensorflow as tf

    def value(thing):
        return values.get(id(thing), thing)

    return tuple(tf.nest.map_structure(value, list(node.call_args))), {
        k: tf.nest.map_structure(value, v) for k, v in node.call_kwargs.items()
    }


def flatten(structure):
    """Flat list of the leaves of nested lists, tuples and dicts (dicts by sorted key, as both Kerases do)."""
    import tensorflow as tf

    return tf.nest.flatten(structure)


def structure_of(model):
    """The nested structures (inputs, outputs) of symbolic tensors that `model` was built from."""
    graph = graph_of(model)
    if flavour(model) == "keras":
        return graph._inputs_struct, graph._outputs_struct
    return graph._nested_inputs, graph._nested_outputs


def flat_inputs(model, inputs):
    """Flatten what a nested `model` is called with in the order of its input tensors (a dict may name them)."""
    wanted = structure_of(model)[0]
    if isinstance(inputs, dict) and not isinstance(wanted, dict):
        return [inputs[name] for name in input_names(model)]
    if isinstance(inputs, dict):
        return [inputs[key] for key in sorted(wanted)]
    return flatten(inputs)


def input_names(model):
    """Names of the input tensors of `model`, in flat order."""
    graph = graph_of(model)
    if flavour(model) == "keras":
        return [tensor._keras_history.operation.name for tensor in graph.inputs]
    return [tensor._keras_history.layer.name for tensor in graph.inputs]


def operations(model):
    """Layers and Keras 3 Operations of `model` in topological order, nested models entered, each once; no input layers."""
    require_graph(model)
    found = {}

    def visit(inner):
        def call(op, args, kwargs, node):
            if graph_of(op) is not None:
                visit(op)
            else:
                found.setdefault(id(op), op)
            return [None] * len(flatten(node.outputs))

        replay(inner, [None] * len(graph_of(inner).inputs), call)

    visit(model)
    return list(found.values())


def leaf_layers(model):
    """Leaf layers of a Sequential or Functional model in topological order, nested models entered, each once; no input layers."""
    return [op for op in operations(model) if is_layer(op)]


def nested_models(model):
    """`model` and the models inside it, outer before inner, each once."""
    found = {id(model): model}

    def call(op, args, kwargs, node):
        if graph_of(op) is not None and id(op) not in found:
            found.update((id(m), m) for m in nested_models(op))
        return [None] * len(flatten(node.outputs))

    replay(model, [None] * len(graph_of(model).inputs), call)
    return list(found.values())


def flat_names(model, parts):
    """Names in the flat tf_keras model: {id(op): [name, ...]}; `parts(op)` gives the suffixes of an op that is split.

    Every op keeps its own name; where nested models use one name twice, later ones get `_1`, `_2`, … that nobody else uses.
    """
    ops = operations(model)
    reserved = {op.name for op in ops} | set(input_names(model))
    taken = set(input_names(model))

    def unique(name, own):
        candidate, count = name, 0
        while candidate in taken or (candidate in reserved and not (own and candidate == name)):
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        return candidate

    names = {}
    for op in ops:
        own = unique(op.name, True)
        names[id(op)] = [unique(own + suffix, False) if suffix else own for suffix in parts(op)]
    return names


def pack(structure, flat):
    """`flat` in the shape of `structure`; a lone list of one stays a list."""
    import tensorflow as tf

    return tf.nest.pack_sequence_as(_plain(structure), flat)


def _plain(structure):
    if isinstance(structure, dict):
        return {key: _plain(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_plain(value) for value in structure]
    return structure
