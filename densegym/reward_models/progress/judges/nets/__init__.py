"""The networks with heads of released judges, which need torch."""
