"""Evaluation: a model's scores on labelled images, with intervals, tables and notes."""

from pixelwise.evaluation.completion import complete_model
from pixelwise.evaluation.entry import evaluate_run
from pixelwise.evaluation.evaluation import evaluate
from pixelwise.evaluation.scores import ClassScores, SampleScore, Score, Scores, Split

__all__ = ["ClassScores", "SampleScore", "Score", "Scores", "Split", "complete_model", "evaluate", "evaluate_run"]
