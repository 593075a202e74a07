"""Names for the objects of the `.tflite` schema's generated classes, whose fields are not typed."""

from __future__ import annotations

from typing import Any, TypeAlias

ModelTree: TypeAlias = Any
"""A `ModelT`: subgraphs, buffers and operator codes of a file."""

GraphTree: TypeAlias = Any
"""A `SubGraphT`: tensors, operators, inputs and outputs."""

OperatorTree: TypeAlias = Any
"""An `OperatorT`: indices of its input and output tensors, and its options."""

OperatorCodeTree: TypeAlias = Any
"""An `OperatorCodeT`: which operator, by builtin number or custom name, and its version."""

TensorTree: TypeAlias = Any
"""A `TensorT`: shape, type, buffer, quantization, sparsity."""

Sparsity: TypeAlias = Any
"""A `SparsityParametersT`: which of a tensor's values are stored."""

QuantizationTree: TypeAlias = Any
"""A `QuantizationParametersT`: scales and zero points."""

SignatureTree: TypeAlias = Any
"""A `SignatureDefT`: the names that inputs and outputs are called by."""

FlatTable: TypeAlias = Any
"""A table of the schema read in place (`Model`, `SubGraph`, `Tensor`), without copying."""

SchemaModule: TypeAlias = Any
"""The module of the generated classes."""
