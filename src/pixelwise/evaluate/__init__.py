"""Evaluation: a model's scores on labelled images, with intervals, tables and notes."""

from pixelwise.evaluate.entry import evaluate_run
from pixelwise.evaluate.evaluation import evaluate
from pixelwise.evaluate.scores import ClassScores, SampleScore, Score, Scores, Split

__all__ = ["ClassScores", "SampleScore", "Score", "Scores", "Split", "evaluate", "evaluate_run"]
