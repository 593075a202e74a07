"""Devices: the contract, names, a file on several, refusals with the operators, and scores."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress import devices
from tfcompress._backend import vela
from tfcompress._backend.interpreter import _runtimes
from tfcompress._backend.tflite._facts import read_facts
from tfcompress.core import (
    DataError,
    Device,
    InterpreterError,
    Profile,
    RecipeError,
    ResultWarning,
    column,
)
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices import Browser, EthosU, Host, Micro, by_name, names
from tfcompress.devices._ethos_u import _on_cpu
from tfcompress.testing import check_device

PUBLIC = [getattr(devices, name) for name in devices.__all__]
MEMBERS = [one() for one in PUBLIC if isinstance(one, type) and issubclass(one, Device)]


def test_every_member_is_found() -> None:
    assert {type(member) for member in MEMBERS} >= {Browser, EthosU, Host, Micro}


@pytest.mark.parametrize("device", MEMBERS, ids=lambda device: device.name)
def test_every_device_keeps_the_contract(
    device: Device, nets: SimpleNamespace, litert_js: object
) -> None:
    takes_int8 = not isinstance(device, Browser)
    check_device(device, nets.int8 if takes_int8 else nets.float32, nets.x)


@dataclass(frozen=True, eq=False)
class Slow(Device):
    """An outsider's: this host, of which it says one number of its own."""

    factor: float = 2.0

    @property
    def name(self) -> str:
        return "slow"

    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        return Host().run(data, x)

    def profile(self, data: bytes, name: str = "model") -> Profile:
        found = Micro().profile(data, name)
        return replace(found, device="slow", arena_bytes=int(self.factor * len(data)))


def unmeasured(self: Device, data: bytes, name: str = "model") -> Profile:
    return Profile(name, len(data), 1, "", "", device="slow")


def test_an_outsiders_device(nets: SimpleNamespace) -> None:
    assert check_device(Slow(), nets.int8, nets.x).arena_bytes == 2 * len(nets.int8)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"name": property(lambda self: "my device")}, "names of columns"),
        ({"run": lambda self, data, x: [np.zeros((32, 10))]}, "differs from the Keras model"),
        ({"profile": unmeasured}, "no measured column"),
    ],
)
def test_a_device_that_breaks_the_contract_is_told(
    broken: dict, words: str, nets: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in broken.items():
        monkeypatch.setattr(Slow, name, value)
    with pytest.raises((AssertionError, tfc.TfcompressError), match=words):
        check_device(Slow(), nets.int8, nets.x)


def test_a_file_on_several_devices(nets: SimpleNamespace) -> None:
    micro, npu = tfc.profile(nets.int8, on=[Micro(), EthosU("u55-256")])
    assert (micro.device, npu.device) == ("micro", "ethos-u55-256")
    assert micro.flash_bytes == len(nets.int8)
    assert micro.arena_bytes and sum(size for _, size in micro.arena_parts) <= micro.arena_bytes
    assert micro.ops[0].kind == "CONV_2D" and micro.macs
    assert npu.estimated_cycles and npu.estimated_flash_bytes and npu.cpu_ops == ()
    assert "not measured" in npu.notes[0] and "estimate" in str(npu)
    assert "arena" in str(micro) and "micro" in str(micro)


def test_a_custom_operator_of_another_is_none_of_the_npus(nets: SimpleNamespace) -> None:
    compiled = vela.estimate(nets.int8, "u55-128", what="net").compiled
    assert [op.kind for op in read_facts(compiled).ops] == ["ethos-u"]
    renamed = compiled.replace(b"ethos-u\0", b"ethos-v\0")
    assert _on_cpu(compiled) == () and _on_cpu(renamed) == ("ethos-v",)


def test_float_ends_are_left_to_the_cpu(nets: SimpleNamespace) -> None:
    import tf_keras as keras

    model = keras.Sequential([keras.layers.Input((4, 4, 2)), keras.layers.Conv2D(4, 3)])
    samples = np.random.default_rng(0).random((100, 4, 4, 2))
    with pytest.warns(UserWarning, match="more than the .* of the same model in float32"):
        data = tfc.convert(model, "int8", samples=samples).data
    (npu,) = tfc.profile(data, on=[EthosU()])
    assert set(npu.cpu_ops) == {"QUANTIZE", "DEQUANTIZE"}
    assert any(note.startswith("QUANTIZE on the CPU") for note in npu.notes)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("float16", r"CONV_2D, FULLY_CONNECTED with weights stored as float16.*Int8"),
        ("dynamic", r"CONV_2D, FULLY_CONNECTED with int8 weights and float activations.*Int8"),
        ("conv3d", r"no operator CONV_3D; no target changes that"),
    ],
)
def test_what_a_microcontroller_refuses_is_named(
    kind: str, words: str, nets: SimpleNamespace
) -> None:
    (row,) = tfc.profile(getattr(nets, kind), on=[Micro()])
    assert row.size_bytes == len(getattr(nets, kind)) and row.arena_bytes is None
    assert re.search(words, row.refusal), row.refusal
    assert row.refusal in str(row)


def test_a_file_with_nothing_for_the_npu_is_refused(nets: SimpleNamespace) -> None:
    (row,) = tfc.profile(nets.float32, on=[EthosU()])
    assert "runs none of the operators CONV_2D, MAX_POOL_2D" in row.refusal
    assert "Float32" in row.refusal and "int8io" in row.refusal


def test_a_file_over_the_arenas_limit_is_refused(nets: SimpleNamespace) -> None:
    (free,) = tfc.profile(nets.int8, on=[Micro()])
    assert free.arena_bytes is not None
    fits, over = tfc.profile(nets.int8, on=[Micro(free.arena_bytes), Micro(free.arena_bytes - 1)])
    assert fits.arena_bytes == free.arena_bytes and not fits.refusal
    assert f"an arena of {free.arena_bytes:,} bytes, more than" in over.refusal
    with pytest.raises(InterpreterError, match="more than max_arena_bytes=1"):
        Micro(1).run(nets.int8, [nets.x])


def test_scores_on_a_device(nets: SimpleNamespace) -> None:
    host = tfc.evaluate(nets.float32, nets.x, np.zeros(32, int), predictions=True)[1]
    labels = host.argmax(1)
    score, outputs = tfc.evaluate(nets.int8, nets.x, labels, on=Micro(), predictions=True)
    assert outputs.shape == (32, 10) and score == np.mean(outputs.argmax(1) == labels)
    assert np.abs(outputs - host).max() < 0.02
    with pytest.raises(DataError):
        tfc.evaluate(nets.int8, nets.x[:, :3], labels, on=Micro())
    with pytest.raises(InterpreterError, match="runs nothing"):
        tfc.evaluate(nets.int8, nets.x, labels, on=EthosU())


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_outputs_are_kerass(flavour: str, tiny) -> None:
    model, x, y = tiny(flavour)
    data = tfc.convert(model, "int8io", samples=x[:100]).data
    reference = np.asarray(model(x))
    score, outputs = tfc.evaluate(data, x, y, on=Micro(), predictions=True)
    assert np.abs(outputs - reference).max() < 0.06
    assert abs(score - tfc.evaluate(data, x, y)) <= 2 / len(x)


def test_names_lead_back_to_devices() -> None:
    for name in names():
        assert by_name(name).name == name
    for device in (Host("tensorflow", 4), Micro(4096), EthosU("u85-256")):
        assert by_name(device.name) == device == type(device).from_dict(device.to_dict())
    with pytest.raises(RecipeError, match=r"No device is called 'mikro'. Near: micro"):
        by_name("mikro")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EthosU("u55-129"), "EthosU takes one of u55-32"),
        (lambda: Host("fast"), "Host takes a runtime of litert"),
        (lambda: Host(threads=0), "at least one thread"),
        (lambda: Micro(0), "at least 1"),
        (lambda: tfc.profile(b"", on=[Micro()]), "not a .tflite file: 0 bytes"),
    ],
)
def test_bad_options_are_told(make, words: str) -> None:
    with pytest.raises(tfc.TfcompressError, match=words):
        make()


def test_devices_are_values_not_names(nets: SimpleNamespace) -> None:
    with pytest.raises(DataError, match="by_name"):
        tfc.profile(nets.int8, on=["micro"])  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.mark.parametrize(
    ("device", "module", "extra"),
    [(Micro(), _runtimes, "micro"), (EthosU(), vela, "vela")],
    ids=["micro", "vela"],
)
def test_a_missing_extra_is_said_before_any_work(
    device: Device, module, extra: str, nets: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(module, "version", missing)
    with pytest.raises(InterpreterError, match=rf"pip install 'tfcompress\[{extra}\]'"):
        tfc.profile(nets.int8, on=[device])


def test_vela_that_fails_names_the_file_and_what_would_run(
    nets: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vela.sys, "executable", "/bin/false")
    with pytest.raises(InterpreterError, match=r"net: Vela .*\(exit code 1\).*CONV_2D.*Int8"):
        EthosU().profile(nets.int8, "net")


def test_a_column_on_a_device_is_the_columns_own() -> None:
    there = column("arena_bytes@micro")
    assert there.head == "arena, micro" and there.lower_is_better and there.on_page
    assert there.text(1234.0) == "1,234"


def test_mlperfs_file(shared: Path) -> None:
    data = (shared / "models" / "mlperf_tiny_resnet8_int8.tflite").read_bytes()
    micro, npu = tfc.profile(data, on=[Micro(), EthosU()])
    assert micro.arena_bytes == 55_984
    assert npu.estimated_flash_bytes == round(77.390625 * 1024)
    assert npu.estimated_cycles == 201_747


def test_a_study_has_columns_of_devices(tiny, tmp_path: Path) -> None:
    model, x, y = tiny("keras")
    with pytest.warns(ResultWarning, match="float16: micro cannot run it"):
        report = tfc.study(
            model,
            ["float16", "int8io"],
            samples=x[:100],
            evaluate=(x, y),
            on=[Micro()],
            profile=False,
            out=tmp_path,
        )
    half, whole = report.rows
    assert "arena_bytes@micro" not in half and whole["arena_bytes@micro"] > 0
    assert whole["flash_bytes@micro"] == whole["size_bytes"]
    assert any("micro cannot run it" in warning for warning in report.warnings())
    assert "arena, micro" in report.to_html(tmp_path / "page.html").read_text()
