"""The name maps, one file a family."""
