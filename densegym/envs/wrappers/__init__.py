"""Four thin wrappers around one reward engine; import the one for your host from its own module."""
