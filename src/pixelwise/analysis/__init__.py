"""What a network costs, without running it: shapes are followed through tensors that hold no values."""

from pixelwise.analysis.layers import LayerRow, count_macs, count_parameters, layer_table, stage_shapes
from pixelwise.analysis.memory import free_memory_bytes, saved_activation_bytes, suggest_batch_size, training_memory
from pixelwise.analysis.published import Headline, headline, show_score

__all__ = [
    "Headline",
    "LayerRow",
    "count_macs",
    "count_parameters",
    "free_memory_bytes",
    "headline",
    "layer_table",
    "saved_activation_bytes",
    "show_score",
    "stage_shapes",
    "suggest_batch_size",
    "training_memory",
]
