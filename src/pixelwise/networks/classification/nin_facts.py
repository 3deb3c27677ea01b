"""What is known of the rows of network in network (Lin, Chen, Yan 2014, arXiv:1312.4400)."""

from typing import Final

from pixelwise.specs import Facts, Paper, Published

PAPER = Paper(
    title="Network in network",
    authors="M. Lin, Q. Chen, S. Yan",
    year=2013,
    venue="ICLR 2014",
    link="arXiv:1312.4400",
)


def _facts(table: str, size: int, params: int, macs: int, published: tuple[Published, ...]) -> Facts:
    return Facts(
        paper=PAPER,
        table=table,
        input_size=(3, size, size),
        num_classes=10 if size == 32 else 1000,
        params=params,
        macs=macs,
        published=published,
    )


def _result(dataset: str, metric: str, value: float, protocol: str, source: str) -> Published:
    return Published(dataset=dataset, metric=metric, value=value, protocol=protocol, source=source)


def _imagenet(accuracy: float, source: str) -> tuple[Published, ...]:
    return (_result("ILSVRC-2012 val", "top-1 accuracy %", accuracy, "centre crop", source),)


_WHITENED = "no augmentation, contrast normalisation and ZCA whitening"

FACTS: Final[dict[str, Facts]] = {
    "nin_cifar": _facts(
        "section 4.1, the authors' definition for CIFAR",
        32,
        966_986,
        222_486_528,
        (
            _result("CIFAR-10 test", "error %", 8.81, "translations and flips", "paper"),
            _result("CIFAR-10 test", "error %", 10.41, _WHITENED, "paper"),
            _result("CIFAR-10 test", "accuracy %", 89.6, "the authors' Caffe model", "net-archive nin-cifar10"),
            _result("CIFAR-100 test", "error %", 35.68, _WHITENED, "paper"),
            _result("SVHN test", "error %", 2.35, "no augmentation, contrast normalisation", "paper"),
        ),
    ),
    "nin_imagenet": _facts(
        "variant: the authors' model for ImageNet (Caffe's model zoo)",
        224,
        7_595_176,
        1_100_188_800,
        _imagenet(59.36, "net-archive nin_imagenet"),
    ),
    "bn_nin_cifar": _facts(
        "variant: with batch normalisation (szagoruyko/cifar.torch)",
        32,
        969_822,
        222_486_528,
        (
            _result("CIFAR-10 test", "accuracy %", 91.9, "flips in training", "szagoruyko/cifar.torch"),
            _result("CIFAR-10 test", "accuracy %", 90.4, "no augmentation", "szagoruyko/cifar.torch"),
        ),
    ),
    "bn_nin_imagenet": _facts(
        "variant: with batch normalisation (soumith/imagenet-multiGPU.torch, ninbn)",
        224,
        8_655_336,
        1_259_939_840,
        _imagenet(62.62, "szagoruyko/imagenet-validation.torch"),
    ),
}
