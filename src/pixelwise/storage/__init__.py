"""Files that are whole or absent: atomic writing, and tensors without pickle."""
