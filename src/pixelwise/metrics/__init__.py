"""Metrics: functions of counts, with their empty-class rules written down."""

from pixelwise.metrics.bootstrap import bootstrap_interval
from pixelwise.metrics.calibration import CalibrationBin, calibration_bins, expected_calibration_error
from pixelwise.metrics.confusion import confusion_matrix, confusion_matrix_tensor, predicted_classes
from pixelwise.metrics.per_class import EMPTY_CLASS_RULE, ClassCounts, mean_defined
from pixelwise.metrics.ranking import rank_of_truth

__all__ = [
    "EMPTY_CLASS_RULE",
    "CalibrationBin",
    "ClassCounts",
    "bootstrap_interval",
    "calibration_bins",
    "confusion_matrix",
    "confusion_matrix_tensor",
    "expected_calibration_error",
    "mean_defined",
    "predicted_classes",
    "rank_of_truth",
]
