"""Networks that give a vector of logits for every pixel."""
