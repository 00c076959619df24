"""The search over reward programs: candidates, ledger, successive halving, judging.

Imports ``authored.screening`` and what lies below it. Who trains is handed in as an
``evaluation.Evaluator``.
"""
