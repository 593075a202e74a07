"""What was measured, side by side: tables, plots, a recommendation, one self-contained page."""

from tfcompress.core import STYLE
from tfcompress.report._paired import Difference, paired_difference
from tfcompress.report._recommend import Recommendation
from tfcompress.report._report import Report

__all__ = ["STYLE", "Difference", "Recommendation", "Report", "paired_difference"]
