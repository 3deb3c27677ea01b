"""``pixelwise check``: the data doctor."""
