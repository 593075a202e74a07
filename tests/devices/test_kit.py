"""The kit for a firmware: it compiles, holds the file, and its test vector is the interpreter's."""

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.core import ArtifactError, InterpreterError, RecipeError
from tfcompress.devices import Micro, write_kit
from tfcompress.devices._c_code import method

CHECK = """
#include <cstdint>
#include <cstdio>
#include "model.h"
#include "model_test.h"
#include "model_operators.h"
int main() {
  if (reinterpret_cast<uintptr_t>(g_model) % 16) return 1;
  tflite::MicroMutableOpResolver<kOperatorCount> resolver;
  if (AddModelOperators(resolver) != kTfLiteOk || resolver.count != kOperatorCount) return 2;
  fwrite(g_model, 1, kModelSize, stdout);
  fwrite(kTestInput0, 1, sizeof(kTestInput0), stdout);
  fwrite(kTestOutput0, 1, sizeof(kTestOutput0), stdout);
  return kArenaSize % 16;
}
"""
RESOLVER = """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int N> struct MicroMutableOpResolver {
  unsigned int count = 0;
  TfLiteStatus Next() { return count++ < N ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus AddConv2D() { return Next(); }
  TfLiteStatus AddMaxPool2D() { return Next(); }
  TfLiteStatus AddReshape() { return Next(); }
  TfLiteStatus AddFullyConnected() { return Next(); }
  TfLiteStatus AddSoftmax() { return Next(); }
};
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_it_compiles_and_says_what_the_interpreter_says(
    kind: str, nets: SimpleNamespace, tmp_path: Path
) -> None:
    data = getattr(nets, kind)
    write_kit(data, tmp_path, x=[nets.x[:1]])
    place = tmp_path / "tensorflow" / "lite" / "micro"
    place.mkdir(parents=True)
    (place / "micro_mutable_op_resolver.h").write_text(RESOLVER)
    (tmp_path / "main.cc").write_text(CHECK)
    program = tmp_path / "check"
    sources = [str(tmp_path / "main.cc"), str(tmp_path / "model.cc")]
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}"]
    subprocess.run(["g++", *flags, *sources, "-o", str(program)], check=True)
    written = subprocess.run([str(program)], capture_output=True, check=True).stdout
    opened = open_interpreter(data, runtime="micro")
    opened.set_inputs([nets.x[:1]])
    opened.invoke()
    stored = [opened.inputs[0].store(nets.x[:1]), opened.value(opened.outputs[0].index)]
    assert written == data + b"".join(values.tobytes() for values in stored)


def test_arena_and_quantization_are_the_files(nets: SimpleNamespace, tmp_path: Path) -> None:
    write_kit(nets.int8, tmp_path, margin=0.5)
    header = (tmp_path / "model.h").read_text()
    arena = Micro().profile(nets.int8).arena_bytes
    size = re.search(r"kArenaSize = (\d+);", header)
    assert arena and size and 1.5 * arena <= int(size[1]) < 1.5 * arena + 17
    info = open_interpreter(nets.int8).inputs[0]
    scale = re.search(r"kInput0Scale = (\S+)f;", header)
    assert scale and np.float32(scale[1]) == np.float32(info.scale)
    assert f"kInput0ZeroPoint = {info.zero_point};" in header
    readme = (tmp_path / "README.md").read_text()
    assert f"{arena:,}" in readme and "margin of 50%" in readme and "CONV_2D" in readme


def test_nothing_is_overwritten_unasked(nets: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ArtifactError, match="already there"):
        write_kit(nets.int8, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    write_kit(nets.int8, tmp_path, overwrite=True)
    assert (tmp_path / "README.md").read_text() != "mine"


def test_what_does_not_run_there_gets_no_kit(nets: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="float16"):
        write_kit(nets.float16, tmp_path)
    with pytest.raises(RecipeError, match="margin=-1"):
        write_kit(nets.int8, tmp_path, margin=-1)
    with pytest.raises(RecipeError, match="2 arrays; the file has 1"):
        write_kit(nets.int8, tmp_path, x=[nets.x[:1], nets.x[:1]])
    assert not list(tmp_path.iterdir())


def test_the_resolvers_methods_are_capitalized_words() -> None:
    known = {
        "CONV_2D": "AddConv2D",
        "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
        "MAX_POOL_2D": "AddMaxPool2D",
        "RELU6": "AddRelu6",
        "L2_NORMALIZATION": "AddL2Normalization",
        "CUMSUM": "AddCumSum",
        "SPLIT_V": "AddSplitV",
        "ethos-u": "AddEthosU",
    }
    assert {kind: method(kind) for kind in known} == known
