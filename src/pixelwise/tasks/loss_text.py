"""The text of a loss, looked at before anything is known of the data."""

from pixelwise.losses import BOX_LOSSES, LOSSES, SET_LOSSES, parse_loss
from pixelwise.tasks import detection, sequence


def check_loss_text(text: str) -> None:
    """Refuse a text that is no loss of any task. Whether it serves the data's own is known with the task.

    Raises:
        UsageError: see :func:`~pixelwise.losses.text.parse_loss`.

    """
    if text not in ("", sequence.LOSS, detection.OBJECTIVE):
        parse_loss(text, {**LOSSES, **BOX_LOSSES, **SET_LOSSES, **LOSSES})  # those for masks are the examples
