"""How images, labels and masks lie in a folder: one file per layout, found by looking."""
