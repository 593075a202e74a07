"""Weights as they were: what is left when nothing smaller is exact."""

from tfcompress.targets.packing._layer import CONSTANT, Encoding, scaling_bytes


class Float(Encoding):
    """The operator untouched."""

    name = "float"
    integer = True

    def fits(self, layer, runtime):
        return True

    def size(self, layer, shared):
        return CONSTANT + (
            layer.weights.size + scaling_bytes(layer) if layer.integer else 4 * layer.weights.size
        )

    def write(self, b, layer, runtime):
        b.ops.append(layer.op)
        b.graph.tensors[layer.op.inputs[1]].name = layer.name
