"""pixelwise."""
