"""Data sets: splits, class pairs, local files, image folders, and every error."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcompress.core import DataError
from tfcompress.core._types import Array
from tfcompress.zoo import Data, _data, load_data
from tfcompress.zoo._files import read_npz


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny cifar10.npz of the real layout, and no other source."""
    monkeypatch.delenv("TFCOMPRESS_DATA", raising=False)
    random = np.random.RandomState(0)
    y_train, y_test = (np.repeat(np.arange(10), n)[:, None].astype("uint8") for n in (20, 5))
    images = {
        "x_train": random.randint(0, 256, (200, 32, 32, 3), "uint8"),
        "x_test": random.randint(0, 256, (50, 32, 32, 3), "uint8"),
    }
    arrays: dict[str, Any] = {**images, "y_train": y_train, "y_test": y_test}
    np.savez(tmp_path / "cifar10.npz", **arrays)
    return tmp_path


def parts(data: Data) -> list[tuple[Array, Array]]:
    return [
        (getattr(data, f"x_{part}"), getattr(data, f"y_{part}"))
        for part in ("train", "val", "test")
    ]


def test_digits_need_nothing_and_are_split_70_10_20() -> None:
    data = load_data()
    assert isinstance(data, Data)
    assert [len(x) for x, _ in parts(data)] == [1258, 180, 359]
    for x, y in parts(data):
        assert x.dtype == np.float32 and x.shape[1:] == (8, 8, 1) and x.min() == 0 and x.max() == 1
        assert y.dtype == np.int64 and set(y) == set(range(10))


def test_the_same_seed_splits_alike_and_no_image_is_lost_or_doubled() -> None:
    one, same, other = load_data(seed=1), load_data(seed=1), load_data(seed=2)
    np.testing.assert_array_equal(one.x_test, same.x_test)
    assert not np.array_equal(one.y_test, other.y_test)
    total = sum(x.sum(dtype="float64") for x, _ in parts(one))
    assert total == pytest.approx(sum(x.sum(dtype="float64") for x, _ in parts(other)))


def test_own_test_images_stay_the_test_set_and_a_tenth_validates(stored: Path) -> None:
    data = load_data("cifar10", stored)
    assert [len(x) for x, _ in parts(data)] == [180, 20, 50]
    np.testing.assert_array_equal(data.y_test, np.repeat(np.arange(10), 5))
    assert data.class_names[3] == "cat"


def test_a_class_pair_is_pooled_and_labelled_in_the_order_given(stored: Path) -> None:
    data = load_data("cifar10", stored, classes=("dog", "cat"))
    assert [len(x) for x, _ in parts(data)] == [35, 5, 10]
    assert data.class_names == ("dog", "cat")
    with np.load(stored / "cifar10.npz") as file:
        dog = file["x_train"][file["y_train"][:, 0] == 5][0] / np.float32(255)
    (found,) = [
        y[np.all(x == dog, axis=(1, 2, 3))]
        for x, y in parts(data)
        if np.all(x == dog, axis=(1, 2, 3)).any()
    ]
    assert found == 0


def test_the_environment_variable_names_the_folder(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFCOMPRESS_DATA", str(stored))
    assert len(load_data("cifar10").x_test) == 50


def test_split_flatten_and_scale(stored: Path) -> None:
    data = load_data("cifar10", stored, split=(0.5, 0.25, 0.25), flatten=True, scale=1)
    assert data.x_train.shape == (125, 3072) and data.x_train.max() == 255


def test_what_the_model_takes_is_given_or_refused() -> None:
    assert load_data("digits", input_shape=(8, 8, 1)).x_train.shape[1:] == (8, 8, 1)
    assert load_data("digits", input_shape=(None, None, 1)).x_train.shape[1:] == (8, 8, 1)
    assert load_data("digits", input_shape=(64,)).x_train.shape[1:] == (64,)


def test_the_real_class_pair_has_twelve_thousand_images(shared: Path) -> None:
    data = load_data("cifar10", shared / "data", classes=("cat", "dog"))
    assert [len(x) for x, _ in parts(data)] == [8400, 1200, 2400]
    assert 0.45 < data.y_test.mean() < 0.55


def test_keras_is_asked_last_and_its_failure_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TFCOMPRESS_DATA", raising=False)
    random = np.random.RandomState(0)
    images = {
        "x_train": random.randint(0, 256, (20, 28, 28), "uint8"),
        "y_train": np.arange(20) % 10,
    }
    monkeypatch.setattr(
        _data,
        "keras_dataset",
        lambda name: {**images, "x_test": images["x_train"], "y_test": images["y_train"]},
    )
    assert load_data("mnist").x_train.shape == (18, 28, 28, 1)

    def fail(name: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(_data, "keras_dataset", fail)
    with pytest.raises(DataError, match=r"no route to host.*mnist\.npz.*TFCOMPRESS_DATA"):
        load_data("mnist")


def test_an_npz_of_your_own(tmp_path: Path) -> None:
    x, y = np.random.RandomState(0).rand(50, 6, 6, 2), np.arange(50) % 2
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    data = load_data(tmp_path / "mine.npz")
    assert (
        [len(x) for x, _ in parts(data)] == [35, 5, 10]
        and data.x_train.max() <= 1
        and data.name == "mine"
    )


def test_a_folder_of_images_is_resized_to_what_the_model_takes(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for number, name in enumerate(("bolt", "nut")):
        (tmp_path / name).mkdir()
        for index in range(10):
            image.new("RGB", (20 + index, 16), (100 * number, 50, index)).save(
                tmp_path / name / f"{index}.png"
            )
    data = load_data(tmp_path, input_shape=(8, 12))
    assert data.class_names == ("bolt", "nut") and data.x_train.shape == (14, 8, 12, 3)
    np.testing.assert_allclose(data.x_train[:, 0, 0, 0], data.y_train * 100 / 255, atol=0.01)
    assert load_data(tmp_path, input_shape=(8, 12, 1)).x_train.shape[1:] == (8, 12, 1)
    with pytest.raises(DataError, match="give input_shape="):
        load_data(tmp_path)
    (tmp_path / "nut" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        load_data(tmp_path, input_shape=(8, 8))


def test_train_and_test_folders_stay_apart(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for part, count in (("train", 10), ("test", 3)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(count):
                image.new("L", (4, 4), index).save(tmp_path / part / name / f"{index}.png")
    data = load_data(tmp_path)
    assert [len(x) for x, _ in parts(data)] == [18, 2, 6] and data.x_test.shape[1:] == (4, 4, 1)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"name": "cifar11"}, "digits, mnist, cifar10, cifar100, a .npz file"),
        ({"name": "cifar10", "classes": ("cat", "wolf")}, "No class 'wolf'"),
        ({"name": "cifar10", "classes": ("cat",)}, "two or more different"),
        ({"name": "cifar10", "classes": (3, 12)}, "class 12 among the labels 0..9"),
        ({"name": "cifar10", "split": (0.5, 0.5, 0.5)}, "sum to 1"),
        ({"name": "cifar10", "split": (0.9, 0.1, 0.0)}, "no test images are left"),
        ({"name": "cifar10", "input_shape": (8, 8, 3)}, "the model takes \\(8, 8, 3\\)"),
        ({"name": "mnist"}, r"mnist\.npz"),
    ],
)
def test_what_cannot_be_had_is_said(stored: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(folder=stored, **options)


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"images": np.zeros(3)}, "holds images; expected x and y"),
        (
            {"x_train": np.zeros((3, 2, 2, 1)), "y_train": np.zeros(2)},
            "3 samples and y_train 2 labels",
        ),
        (
            {"x": np.full((3, 2, 2, 1), np.nan), "y": np.zeros(3)},
            "NaN or infinite values in 12 places",
        ),
        (
            {
                "x_train": np.zeros((3, 2, 2, 1)),
                "y_train": np.zeros(3),
                "x_test": np.zeros((3, 2, 2, 1)),
            },
            "x_test and no y_test",
        ),
        ({"x": np.zeros((0, 2, 2, 1)), "y": np.zeros(0)}, "at least one"),
        ({"x": np.ones((3, 2, 2, 1)) * 1j, "y": np.zeros(3)}, "x holds complex128"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3, "datetime64[s]")}, "y holds datetime64"),
        ({"x": np.zeros((3, 2)), "y": np.array(["a", "b", "c"])}, "y holds <U1"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, -1, 2])}, "y holds -1; class numbers"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, np.nan, 2])}, "y holds NaN"),
        ({"x": np.array(1.0), "y": np.zeros(3)}, "x is one number"),
        (
            {
                "x_train": np.zeros((3, 2, 2, 1)),
                "y_train": np.zeros(3),
                "x_test": np.zeros((3, 4, 4, 1)),
                "y_test": np.zeros(3),
            },
            r"x_train \(2, 2, 1\), x_test \(4, 4, 1\)",
        ),
    ],
)
def test_a_wrong_npz_is_named(tmp_path: Path, arrays: dict[str, Array], said: str) -> None:
    np.savez(tmp_path / "wrong.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=said):
        load_data(tmp_path / "wrong.npz")


def test_a_damaged_npz_is_a_data_error_whatever_raises(tmp_path: Path) -> None:
    """Every byte of the headers, changed one at a time: read as before, or refused in one line."""
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, x=np.zeros((4, 2, 2, 1), "float32"), y=np.arange(4) % 2)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 2):
        for value in (0x00, 0xFF, whole[place] ^ 0x08):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_npz(path)
            except DataError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > len(whole) // 4


def test_the_type_of_stored_images_is_kept(stored: Path) -> None:
    assert load_data("cifar10", stored).stored == "uint8"
    assert load_data("digits").stored == "float32"


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="cannot be read"):
        load_data(tmp_path / "cut.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="one array without a name; expected x and y"):
        load_data(tmp_path / "one.npy")
