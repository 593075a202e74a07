"""A study while it runs: how far it is, how long it will take, and a page that can be opened meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from tfcompress._backend.progress import duration
from tfcompress.core import ArtifactError, write_all
from tfcompress.report import Report

PAGE_SECONDS = 3.0
PAGE_SHARE = 0.1  # of the time that passes may go into writing the page


class Live:
    """Counts what is done of `jobs`, tells it through `step`, and keeps `out`/report.html up to date.

    `report(running)` makes the report of the rows so far; `running` says how far the study is, None when it has ended.
    """

    def __init__(
        self,
        out: Path | None,
        report: Callable[[dict[str, Any] | None], Report],
        step: Callable[[str], None],
        jobs: int,
    ):
        self.out, self.report, self.step, self.jobs = out, report, step, jobs
        self.done, self.start, self.next_page = 0, perf_counter(), 0.0

    def says(self, what: str) -> None:
        """Announce what runs now, or what has just ended, with the time left."""
        self.step(f"{what} ({left})" if (left := self.left()) else what)

    def left(self) -> str:
        """ "about 3 min left", from the time that the jobs of this run took; "" before the first has ended."""
        if not 0 < self.done < self.jobs:
            return ""
        return f"about {duration((perf_counter() - self.start) / self.done * (self.jobs - self.done))} left"

    def finished(self) -> None:
        """One more job has ended."""
        self.done += 1
        self.page()

    def page(self, running: bool = True) -> Report | None:
        """Write the report's page, and at the end also its Markdown and CSV; not more often than pays."""
        now = perf_counter()
        if running and (self.out is None or now < self.next_page):
            return None
        report = self.report(
            {"jobs": self.jobs, "jobs_done": self.done, "left": self.left()} if running else None
        )
        if self.out is not None:
            try:
                report.to_html(self.out / "report.html", overwrite=True)
                if not running:
                    texts = {
                        self.out / "report.md": report.to_markdown(),
                        self.out / "report.csv": report.to_csv(),
                    }
                    write_all(texts, overwrite=True)
            except ArtifactError as error:  # a page that cannot be written must not cost the cells
                if not running:
                    warnings.warn(
                        f"The study is done and its report could not be written: {error}",
                        stacklevel=4,
                    )
        self.next_page = perf_counter() + max(PAGE_SECONDS, (perf_counter() - now) / PAGE_SHARE)
        return report
