"""The data doctor: everything wrong or odd in a data folder, found in one look, each with its remedy."""

from pixelwise.data.check.findings import Finding, Severity
from pixelwise.data.check.report import CheckReport, ClassRow
from pixelwise.data.check.run import check_data

__all__ = ["CheckReport", "ClassRow", "Finding", "Severity", "check_data"]
