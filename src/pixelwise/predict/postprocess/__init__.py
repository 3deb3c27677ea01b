"""What is done to a network's probabilities before they are an answer: named steps, stored with the model."""

from pixelwise.predict.postprocess.pipeline import STEPS, Pipeline, default_pipeline, pipeline_of
from pixelwise.predict.postprocess.steps import FieldStep, PictureStep, Piece, PieceStep, Step, Threshold

__all__ = [
    "STEPS",
    "FieldStep",
    "PictureStep",
    "Piece",
    "PieceStep",
    "Pipeline",
    "Step",
    "Threshold",
    "default_pipeline",
    "pipeline_of",
]
