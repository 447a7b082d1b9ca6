"""The figures of the report, one file each; every one is drawn for a wide page and for a phone."""

from stages.report.figures.figure import Figure

__all__ = ["Figure"]
