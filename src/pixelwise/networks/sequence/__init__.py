"""Networks that read: one file each."""
