"""Weights as they were: what is left when nothing smaller is exact."""

from tfcompress.targets.packing._layer import CHANNEL, CONSTANT, Encoding


class Float(Encoding):
    """The operator untouched."""

    name = "float"
    integer = True

    def fits(self, layer, runtime):
        return True

    def size(self, layer, shared):
        return CONSTANT + layer.weights.size * (1 if layer.integer else 4) + (CHANNEL * len(layer.levels.scale) if layer.integer else 0)

    def write(self, b, layer, runtime):
        b.ops.append(layer.op)
        b.graph.tensors[layer.op.inputs[1]].name = layer.name
