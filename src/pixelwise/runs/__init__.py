"""The run folder: a training's settings, journal, checkpoints, model and scores, which lie and move together."""
