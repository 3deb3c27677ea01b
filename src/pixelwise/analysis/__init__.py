"""What a network costs, without running it: shapes are followed through tensors that hold no values."""

from pixelwise.analysis.layers import LayerRow, count_macs, count_parameters, layer_table, stage_shapes
from pixelwise.analysis.memory import free_memory_bytes, saved_activation_bytes, suggest_batch_size, training_memory

__all__ = [
    "LayerRow",
    "count_macs",
    "count_parameters",
    "free_memory_bytes",
    "layer_table",
    "saved_activation_bytes",
    "stage_shapes",
    "suggest_batch_size",
    "training_memory",
]
