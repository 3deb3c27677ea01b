"""Reports: one self-contained HTML file about a run, and TensorBoard's event files from its journal."""

from pixelwise.reporting.tensorboard import write_tensorboard
from pixelwise.reporting.write import write_report

__all__ = ["write_report", "write_tensorboard"]
