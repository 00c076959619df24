"""Suites of runs, their statistics, tables, plots and reports.

Imports ``agents.training`` and ``agents.films``; studies of one question live in
``agents.studies``.
"""
