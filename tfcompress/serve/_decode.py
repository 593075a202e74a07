"""The child that reads pictures: `python -m tfcompress.serve._decode`.

A picture from a stranger may crash or fill the memory of whatever reads it. Messages of
`profiling._wire` come on stdin: {"height", "width", "channels"} with one array, the file's bytes;
the answer is the picture as uint8 [height, width, channels].
"""

from __future__ import annotations

import io
import resource
import sys
from typing import Any

import numpy as np

from tfcompress.core._types import Array
from tfcompress.profiling._wire import answers, receive, send

MAX_PIXELS = 40_000_000
MEMORY_BYTES = 2 << 30


def main() -> None:
    """Answer every message until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe = answers()
    while (message := receive(sys.stdin.buffer)) is not None:
        head, arrays = message
        try:
            send(pipe, {}, [decoded(arrays[0].tobytes(), head)])
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            send(pipe, {"error": " ".join(str(error).split()) or type(error).__name__})


def decoded(data: bytes, head: dict[str, Any]) -> Array:
    """The picture in `data`, upright, cut to the shape's sides and resized to it.

    Raises ValueError, OSError or SyntaxError where it is none, or has more than MAX_PIXELS.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the check below is stricter, and an error
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"the picture has {image.width:,} × {image.height:,} pixels; "
                f"at most {MAX_PIXELS:,} are read"
            )
        image.draft("RGB", (head["width"] * 2, head["height"] * 2))
        upright = ImageOps.exif_transpose(image)
        picture = upright.convert("L" if head["channels"] == 1 else "RGB")
    size = (head["width"], head["height"])
    fitted = ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
    array = np.asarray(fitted, "uint8")
    return array[..., None] if head["channels"] == 1 else array


if __name__ == "__main__":
    main()
