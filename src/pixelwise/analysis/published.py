"""The one published result that stands for a network in a list."""

from dataclasses import dataclass
from typing import Final

from pixelwise.specs import Facts, Published

TOP1: Final = ("top-1 error %", "top-1 accuracy %", "error %", "accuracy %")
TOP5: Final = ("top-5 error %", "top-5 accuracy %")


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """Accuracies in percent that were published together, for the same data and under the same protocol.

    Of networks for pixels, boxes or strings another score stands in their place.
    """

    dataset: str
    top1: float | None
    """None where only the top-5 accuracy was published, or none."""
    top5: float | None
    metric: str = ""
    """What ``value`` is, with its unit, where there are no accuracies: ``mean IoU %``."""
    value: float | None = None
    protocol: str
    source: str

    @property
    def score(self) -> str:
        """The other score in words, ``mean IoU 65.5 %``; empty where there are accuracies."""
        return "" if self.value is None else show_score(self.metric, self.value)

    @property
    def where(self) -> str:
        """For what it was published."""
        return f"{self.dataset}, {self.protocol} ({self.source})"


def show_score(metric: str, value: float) -> str:
    """Write a score with its unit: ``mean IoU 65.5 %``, ``Hausdorff 5.71 mm``, ``Dice 0.869``."""
    unit = next((unit for unit in ("%", "mm") if metric.endswith(f" {unit}")), "")
    return f"{metric.removesuffix(unit).strip()} {value:g} {unit}".strip()


def headline(facts: Facts) -> Headline | None:
    """Return the first published accuracy, top-1 and top-5 where both have the same data, protocol and source.

    Without accuracies it is the first result; None where nothing was published. Rows name their paper's result first.
    Errors are turned into accuracies: 100 less the error.
    """
    for result in facts.published:
        same = [other for other in facts.published if _setting(other) == _setting(result)]
        top1, top5 = (_first(same, metrics) for metrics in (TOP1, TOP5))
        if (top1, top5) != (None, None):
            return Headline(
                dataset=result.dataset, top1=top1, top5=top5, protocol=result.protocol, source=result.source
            )
    for result in facts.published:
        return Headline(
            dataset=result.dataset, top1=None, top5=None, metric=result.metric, value=result.value,
            protocol=result.protocol, source=result.source,
        )  # fmt: skip
    return None


def _setting(result: Published) -> tuple[str, str, str]:
    return result.dataset, result.protocol, result.source


def _first(results: list[Published], metrics: tuple[str, ...]) -> float | None:
    for result in results:
        if result.metric in metrics:
            return round(100 - result.value, 3) if "error" in result.metric else result.value
    return None
