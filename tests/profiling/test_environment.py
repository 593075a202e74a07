"""The environment names the processor's integer instructions."""

from pathlib import Path

import pytest

from tfcompress.profiling import _environment, environment

X86 = "processor\t: 0\nmodel name\t: Xeon E5\nflags\t\t: fpu sse4_1 avx avx2 avx512_vnni avx_vnni\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        (X86, ["sse4_1", "avx2", "avx_vnni", "avx512_vnni"]),
        (X86.replace(" avx512_vnni avx_vnni", ""), ["sse4_1", "avx2"]),
        (ARM, ["asimd", "asimddp", "i8mm"]),
    ],
)
def test_integer_instructions_are_read_from_the_system(
    text: str, instructions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    monkeypatch.setattr(_environment, "CPU_INFO", file)
    assert environment()["integer_instructions"] == instructions


def test_a_system_that_says_nothing_leaves_the_instructions_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_environment, "CPU_INFO", tmp_path / "absent")
    assert "integer_instructions" not in environment() and environment()["cpu"]
