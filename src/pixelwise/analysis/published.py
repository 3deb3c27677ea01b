"""The one published result that stands for a network in a list."""

from dataclasses import dataclass

from pixelwise.specs import Facts, Published


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """Accuracies in percent that were published together, for the same data and under the same protocol."""

    dataset: str
    top1: float
    top5: float | None
    protocol: str
    source: str


def headline(facts: Facts) -> Headline | None:
    """Return the first published top-1 accuracy, with the top-5 accuracy of the same source and protocol.

    Rows name their paper's result first. Errors are turned into accuracies: 100 less the error.
    """
    for result in facts.published:
        top1 = _accuracy(result, ("top-1 error %", "top-1 accuracy %", "error %", "accuracy %"))
        if top1 is not None:
            same = [other for other in facts.published if _setting(other) == _setting(result)]
            top5 = [_accuracy(other, ("top-5 error %", "top-5 accuracy %")) for other in same]
            return Headline(
                dataset=result.dataset,
                top1=top1,
                top5=next((value for value in top5 if value is not None), None),
                protocol=result.protocol,
                source=result.source,
            )
    return None


def _setting(result: Published) -> tuple[str, str, str]:
    return result.dataset, result.protocol, result.source


def _accuracy(result: Published, metrics: tuple[str, ...]) -> float | None:
    if result.metric not in metrics:
        return None
    return round(100 - result.value, 3) if "error" in result.metric else result.value
