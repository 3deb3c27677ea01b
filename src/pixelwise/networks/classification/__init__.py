"""Networks that give one vector of logits for an image."""
