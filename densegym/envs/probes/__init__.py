"""Small worlds in which a careless reward can be farmed; they show which rewards are."""
