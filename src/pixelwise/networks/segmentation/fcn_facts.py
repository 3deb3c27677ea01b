"""What is known of the rows of the fully convolutional networks' papers (Long et al. 2015, arXiv:1411.4038)."""

from typing import Final

from pixelwise.specs import Facts, Paper, Published

PAPER = Paper(
    title="Fully convolutional networks for semantic segmentation",
    authors="J. Long, E. Shelhamer, T. Darrell",
    year=2015,
    venue="CVPR 2015",
    link="arXiv:1411.4038",
)

_READY = "the published networks, one picture a step (PAMI 2016)"


_OWN, _FEWER = "the paper's own", "VOC 2011 train only (table 1)"


def _voc(value: float, protocol: str = _OWN, dataset: str = "VOC 2011 val, 736 images") -> Published:
    source = "paper" if protocol in (_OWN, _FEWER) else "fcn.berkeleyvision.org"
    return Published(dataset=dataset, metric="mean IoU %", value=value, protocol=protocol, source=source)


def _facts(table: str, side: int, params: int, macs: int, published: tuple[Published, ...] = ()) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, side, side),
        num_classes=21,
        params=params,
        macs=macs,
        published=published,
    )


FACTS: Final[dict[str, Facts]] = {
    "fcn32s": _facts(
        "figure 3, table 2", 500, 136_152_917, 181_365_854_976, (_voc(59.4), _voc(56.0, _FEWER), _voc(63.6, _READY))
    ),
    "fcn16s": _facts("figure 3, table 2", 500, 134_815_994, 181_448_086_272, (_voc(62.4), _voc(65.0, _READY))),
    "fcn8s": _facts(
        "figure 3, table 2",
        500,
        134_489_759,
        181_529_034_048,
        (
            _voc(62.7),
            _voc(62.7, dataset="VOC 2011 test"),
            _voc(62.2, dataset="VOC 2012 test"),
            _voc(65.5, _READY),
            _voc(67.2, _READY, "VOC 2012 test"),
        ),
    ),
    "fcn_alexnet": _facts("table 1", 500, 58_704_590, 21_424_487_968, (_voc(39.8, _FEWER),)),
    "fcn_inception_v3": _facts(
        "variant: on the trunk of Inception-v3, which no paper has", 299, 21_828_597, 5_713_920_608
    ),
}
