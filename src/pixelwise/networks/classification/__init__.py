"""networks/classification."""
