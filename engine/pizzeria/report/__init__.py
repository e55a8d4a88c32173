"""The report: one self-contained HTML file about one run, for people."""

from pizzeria.report.page import render

__all__ = ["render"]
