"""Agents: training, evaluation on the world's outcome, searches, studies, benchmarks and films.

Each package has one job. From the ground up, a package imports only those before it:
``extras`` and ``relabel``, ``training``, ``collecting`` and ``films``, ``bench``, and on top
``authoring``, ``studies`` and ``shop``, which know nothing of one another.
"""
