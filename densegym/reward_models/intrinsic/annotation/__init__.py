"""Labels of captions: tables, annotators, the queue and the service that asks while one trains.

Imports ``reward_models.llm`` and the shared modules of ``intrinsic``.
"""
