"""The catalogue on disk: product records, inverted index, search in Lucene's order.

Imports nothing of the shop.
"""
