"""A study while it runs: how far it is, how long it will take, and a page to look at meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from tfcompress._backend.progress import duration
from tfcompress.core import ArtifactError, write_all
from tfcompress.report import Report

PAGE_SECONDS = 3.0
PAGE_SHARE = 0.1  # of the time that passes may go into writing the page


def write_report(report: Report, out: Path) -> None:
    """report.html, .json, .md and .csv in `out`, over those of an earlier state of the study."""
    report.to_html(out / "report.html", overwrite=True)
    texts = {
        out / "report.json": report.to_json(),
        out / "report.md": report.to_markdown(),
        out / "report.csv": report.to_csv(),
    }
    write_all(texts, overwrite=True)


class Live:
    """Counts what is done of a study, tells it, and keeps `out`/report.html up to date."""

    def __init__(
        self,
        out: Path | None,
        report: Callable[[dict[str, Any] | None], Report],
        step: Callable[[str], None],
        jobs: int,
        check: Callable[[], None],
    ):
        """Begin.

        Args:
            out: the study's folder, if it has one.
            report: makes the report of the rows so far. It is given how far the study is, or None
                when it has ended.
            step: tells the user what runs now.
            jobs: how many shared models and cells are to be made.
            check: raises where the user asked the study to stop.
        """
        self.out, self.report, self.step, self.jobs, self.check = out, report, step, jobs, check
        self.done, self.start, self.next_page = 0, perf_counter(), 0.0

    def says(self, what: str) -> None:
        """Announce what runs now, or what has just ended, with the time left."""
        self.check()
        left = self.left()
        self.step(f"{what} ({left})" if left else what)

    def left(self) -> str:
        """ "about 3 min left", from the time that jobs took; "" before the first has ended."""
        if not 0 < self.done < self.jobs:
            return ""
        per_job = (perf_counter() - self.start) / self.done
        return f"about {duration(per_job * (self.jobs - self.done))} left"

    def finished(self) -> None:
        """One more job has ended."""
        self.done += 1
        self.page()

    def page(self) -> None:
        """Write the page of the rows so far, not more often than pays."""
        now = perf_counter()
        if self.out is None or now < self.next_page:
            return
        running = {"jobs": self.jobs, "jobs_done": self.done, "left": self.left()}
        with suppress(ArtifactError):  # a page that cannot be written must not cost the cells
            write_report(self.report(running), self.out)
        self.next_page = perf_counter() + max(PAGE_SECONDS, (perf_counter() - now) / PAGE_SHARE)

    def ended(self) -> Report:
        """The report of all rows, written as page, Markdown and CSV where there is a folder."""
        report = self.report(None)
        if self.out is None:
            return report
        try:
            write_report(report, self.out)
        except ArtifactError as error:
            warnings.warn(
                f"The study is done and its report could not be written: {error}", stacklevel=4
            )
        return report
