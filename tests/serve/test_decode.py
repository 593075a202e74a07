"""Pictures of strangers: read in a child process, whose end is not the server's."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from tfcompress.core import DataError
from tfcompress.serve._host import Pictures


@pytest.fixture
def pictures():
    pictures = Pictures()
    yield pictures
    pictures.close()


def png(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png", **options)
    return buffer.getvalue()


def test_a_picture_is_cut_and_resized(pictures):
    wide = np.zeros((10, 30, 3), "uint8")
    wide[:, 10:20] = 200
    read, spent_ms = pictures.read(png(wide), (5, 5, 3))
    assert read.shape == (5, 5, 3)
    assert (read[:, 1:4] == 200).all()
    assert (read[:, [0, 4]] > 100).all()
    assert spent_ms > 0
    grey, _ = pictures.read(png(wide), (5, 5, 1))
    assert grey.shape == (5, 5, 1)


@pytest.mark.parametrize("data", [b"", b"not a picture", png(np.zeros((8, 8), "uint8"))[:40]])
def test_what_is_no_picture_is_refused(pictures, data):
    with pytest.raises(DataError, match="could not be read"):
        pictures.read(data, (8, 8, 1))


def test_a_hundred_megapixels_are_refused_without_being_read(pictures):
    bomb = png(np.zeros((10_000, 10_000), "uint8"), compress_level=9)
    assert len(bomb) < 200_000
    start = time.perf_counter()
    with pytest.raises(DataError, match="10,000 × 10,000 pixels"):
        pictures.read(bomb, (8, 8, 1))
    assert time.perf_counter() - start < 20


def test_a_child_that_ends_is_started_anew(pictures):
    picture = png(np.full((8, 8), 9, "uint8"))
    pictures.read(picture, (8, 8, 1))
    pictures._process.kill()
    pictures._process.wait()
    read, _ = pictures.read(picture, (8, 8, 1))
    assert (read == 9).all()
