"""The small real study of `work.py`, carried out once in this process."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "core")]

import work  # noqa: E402
from stand_in import engine  # noqa: E402

__all__ = ["engine"]


@pytest.fixture(scope="package")
def one_process(tmp_path_factory):
    """(folder, report) of the study carried out in one process, never interrupted."""
    from tfcompress import study
    from tfcompress.core import ResultWarning

    out = tmp_path_factory.mktemp("one")
    with pytest.warns(ResultWarning, match="points below float32"):  # it trains so briefly
        report = study(work.build, work.RECIPES, **work.options(seeds=1, out=out))
    return out, report
