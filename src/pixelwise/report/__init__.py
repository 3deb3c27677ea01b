"""Reports: one self-contained HTML file about a run, and TensorBoard's event files from its journal."""

from pixelwise.report.tensorboard import write_tensorboard
from pixelwise.report.write import write_report

__all__ = ["write_report", "write_tensorboard"]
