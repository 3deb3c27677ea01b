"""Which part of a network's input each place of each of its tensors depends on, followed operation by operation."""
