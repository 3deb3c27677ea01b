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
from pixelwise.metrics.label_maps import PIXELS, VOXELS, LabelMapScores
from pixelwise.metrics.per_class import EMPTY_CLASS_RULE, ClassCounts, mean_defined, ratio
from pixelwise.metrics.ranking import rank_of_truth
from pixelwise.metrics.separation import (
    CHALLENGE_THRESHOLDS,
    VScore,
    best_over_thresholds,
    pixel_error,
    rand_error,
    segments,
    thin_borders,
    v_info,
    v_rand,
)
from pixelwise.metrics.surface import (
    DEFAULT_TOLERANCE_PX,
    SurfaceDistances,
    average_surface_distance,
    boundary_f,
    hausdorff,
    hausdorff_95,
)
from pixelwise.metrics.thresholds import DEFAULT_THRESHOLD, best_threshold
from pixelwise.metrics.warping import (
    warping_error,
    warping_mistakes,
)

__all__ = [
    "CHALLENGE_THRESHOLDS",
    "DEFAULT_THRESHOLD",
    "DEFAULT_TOLERANCE_PX",
    "EMPTY_CLASS_RULE",
    "IOU_THRESHOLDS",
    "LOCALISED_IOU",
    "PIXELS",
    "VOXELS",
    "BoxMatches",
    "BoxSet",
    "CalibrationBin",
    "ClassCounts",
    "InstanceCounts",
    "LabelMapScores",
    "SurfaceDistances",
    "VScore",
    "aggregated_jaccard",
    "align",
    "average_precision",
    "average_precision_of_counts",
    "average_precision_of_matches",
    "average_surface_distance",
    "best_over_thresholds",
    "best_threshold",
    "bootstrap_interval",
    "boundary_f",
    "box_average_precision",
    "box_iou",
    "calibration_bins",
    "confusion_matrix",
    "confusion_matrix_tensor",
    "corners",
    "edit_distance",
    "expected_calibration_error",
    "hausdorff",
    "hausdorff_95",
    "instance_average_precision",
    "instance_counts",
    "match_boxes",
    "mean_defined",
    "pairwise_iou",
    "panoptic_quality",
    "pixel_error",
    "predicted_classes",
    "rand_error",
    "rank_of_truth",
    "ratio",
    "resampled_interval",
    "segments",
    "thin_borders",
    "v_info",
    "v_rand",
    "warping_error",
    "warping_mistakes",
]
