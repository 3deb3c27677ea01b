"""Metrics: functions of counts, with their empty-class rules written down."""

from pixelwise.metrics.average_precision import average_precision, average_precision_of_counts
from pixelwise.metrics.bootstrap import bootstrap_interval, resampled_interval
from pixelwise.metrics.box_average_precision import (
    BoxMatches,
    BoxSet,
    average_precision_of_matches,
    box_average_precision,
    match_boxes,
    pairwise_iou,
)
from pixelwise.metrics.boxes import LOCALISED_IOU, box_iou, corners
from pixelwise.metrics.calibration import CalibrationBin, calibration_bins, expected_calibration_error
from pixelwise.metrics.confusion import confusion_matrix, confusion_matrix_tensor, predicted_classes
from pixelwise.metrics.edit_distance import align, edit_distance
from pixelwise.metrics.instances import (
    IOU_THRESHOLDS,
    InstanceCounts,
    aggregated_jaccard,
    instance_average_precision,
    instance_counts,
    panoptic_quality,
)
from pixelwise.metrics.per_class import EMPTY_CLASS_RULE, ClassCounts, mean_defined, ratio
from pixelwise.metrics.ranking import rank_of_truth
from pixelwise.metrics.thresholds import DEFAULT_THRESHOLD, best_threshold

__all__ = [
    "DEFAULT_THRESHOLD",
    "EMPTY_CLASS_RULE",
    "IOU_THRESHOLDS",
    "LOCALISED_IOU",
    "BoxMatches",
    "BoxSet",
    "CalibrationBin",
    "ClassCounts",
    "InstanceCounts",
    "aggregated_jaccard",
    "align",
    "average_precision",
    "average_precision_of_counts",
    "average_precision_of_matches",
    "best_threshold",
    "bootstrap_interval",
    "box_average_precision",
    "box_iou",
    "calibration_bins",
    "confusion_matrix",
    "confusion_matrix_tensor",
    "corners",
    "edit_distance",
    "expected_calibration_error",
    "instance_average_precision",
    "instance_counts",
    "match_boxes",
    "mean_defined",
    "pairwise_iou",
    "panoptic_quality",
    "predicted_classes",
    "rank_of_truth",
    "ratio",
    "resampled_interval",
]
