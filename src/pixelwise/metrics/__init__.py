"""Metrics: functions of counts, with their empty-class rules written down."""

from pixelwise.metrics.average_precision import average_precision, average_precision_of_counts
from pixelwise.metrics.bootstrap import bootstrap_interval, resampled_interval
from pixelwise.metrics.boxes import LOCALISED_IOU, box_iou, corners
from pixelwise.metrics.calibration import CalibrationBin, calibration_bins, expected_calibration_error
from pixelwise.metrics.confusion import confusion_matrix, confusion_matrix_tensor, predicted_classes
from pixelwise.metrics.edit_distance import align, edit_distance
from pixelwise.metrics.per_class import EMPTY_CLASS_RULE, ClassCounts, mean_defined, ratio
from pixelwise.metrics.ranking import rank_of_truth
from pixelwise.metrics.thresholds import DEFAULT_THRESHOLD, best_threshold

__all__ = [
    "DEFAULT_THRESHOLD",
    "EMPTY_CLASS_RULE",
    "LOCALISED_IOU",
    "CalibrationBin",
    "ClassCounts",
    "align",
    "average_precision",
    "average_precision_of_counts",
    "best_threshold",
    "bootstrap_interval",
    "box_iou",
    "calibration_bins",
    "confusion_matrix",
    "confusion_matrix_tensor",
    "corners",
    "edit_distance",
    "expected_calibration_error",
    "mean_defined",
    "predicted_classes",
    "rank_of_truth",
    "ratio",
    "resampled_interval",
]
