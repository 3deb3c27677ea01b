"""The papers' networks, one file each."""
