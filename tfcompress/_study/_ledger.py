"""What is known of a study's cells so far: their rows, their files, and the report of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcompress._study._bench import Bench
from tfcompress._study._cell import Cell, finished
from tfcompress._study._contents import options
from tfcompress._study._formats import Row
from tfcompress._study._measure import labels_of, on_devices, profiled
from tfcompress.core import Artifact, Device
from tfcompress.core._verdict import with_warnings
from tfcompress.report import Report


class Ledger:
    """The rows and files of a study's cells; those of earlier runs are there from the start."""

    def __init__(self, bench: Bench, cells: Sequence[Cell], title: str, about: dict[str, Any]):
        self.bench, self.cells, self.title, self.about = bench, cells, title, about
        self.rows: dict[Cell, Row] = {}
        self.files: dict[Cell, Path | Artifact | None] = {}
        if bench.out is None:
            return
        for cell in cells:
            row = finished(bench.out, cell, bench.metric)
            if row is not None:
                self.add(cell, row, None)

    @property
    def missing(self) -> list[Cell]:
        """The cells that have no row yet."""
        return [cell for cell in self.cells if cell not in self.rows]

    def add(self, cell: Cell, row: Row, artifact: Artifact | None) -> None:
        """Enter a cell's row, and its artifact where there is no folder for its file."""
        self.rows[cell], self.files[cell] = row, artifact
        if self.bench.out is not None and "error" not in row:
            self.files[cell] = self.bench.out / f"{cell.name}.tflite"

    def report(self, running: dict[str, Any] | None) -> Report:
        """The report of the rows so far; `running` says how far a study is that still runs."""
        rows = [
            {**self.rows[cell], "options": options(cell.recipe)}
            for cell in self.cells
            if cell in self.rows
        ]
        labels = labels_of(self.bench.evaluate)
        rows = with_warnings(rows, self.bench.metric, self.about["base"], labels)
        if running is None:
            return Report(rows, self.title, self.about)
        progress = {**running, "cells": len(self.cells), "cells_done": len(rows)}
        return Report(rows, self.title, {**self.about, "running": progress})

    def profile(self, threads: Sequence[int]) -> None:
        """Measure the latencies of all files, interleaved, and enter them in the rows."""
        bench = self.bench
        rows = [self.rows[cell] for cell in self.cells]
        files = [self.files.get(cell) for cell in self.cells]
        timed = profiled(rows, files, bench.out, threads, bench.runtime)
        self.rows = dict(zip(self.cells, timed))

    def measure_on(self, on: Sequence[Device]) -> None:
        """Enter in the rows what every device measures of their files."""
        rows = [self.rows[cell] for cell in self.cells]
        files = [self.files.get(cell) for cell in self.cells]
        sound = [None if "error" in row else file for row, file in zip(rows, files)]
        self.rows = dict(zip(self.cells, on_devices(rows, sound, on)))
