"""Where the published weights of each network lie: address, checksum, licence, and what they reach.

The digests are what the publishers tell of them: torchvision puts the first eight digits of the SHA-256 into the file's
name, and pretrained-models.pytorch the first nine. Hugging Face tells the whole digest when a file is asked for (header
``X-Linked-ETag``), so that those entries need none; where an address names a version, the digest is that file's. Where
neither is so (Facebook's ConvNeXt), only the length is checked, and list and download say so. Accuracies are the
publishers', on ILSVRC-2012 val with a centre crop unless ``trained_on`` says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pixelwise.errors import UsageError, suggest

IMAGENET: Final = "ImageNet-1k"
_TORCHVISION: Final = "https://download.pytorch.org/models"
_TIMM: Final = "https://huggingface.co/timm"
_FACEBOOK: Final = "https://dl.fbaipublicfiles.com/convnext"
_CADENE: Final = "http://data.lip6.fr/cadene/pretrainedmodels"
_JASONLEE: Final = "https://raw.githubusercontent.com/Jasonlee1995/NIN/7a7b245946bb6f16c74c1dd6b55892d046d43538"
_AKAMASTER: Final = "https://raw.githubusercontent.com/akamaster/pytorch_resnet_cifar10/master/pretrained_models"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedWeights:
    """One file of weights that somebody published.

    Attributes:
        network: the catalogue's name of the network that it fits.
        publisher: who published it, and which version.
        url: where it lies.
        sha256: the digest, or its first digits; empty where it is not known beforehand.
        server_tells: whether the server tells the digest with the file.
        size_mib: about how large the file is, in MiB; None where it is not known.
        licence: as the publisher states it. Weights may be bound by their training data's terms as well.
        trained_on: the data set.
        top1: accuracy in percent; ``top5`` likewise; None where the publisher's file does not say.

    """

    network: str
    publisher: str
    url: str
    sha256: str
    licence: str
    server_tells: bool = False
    size_mib: int | None = None
    trained_on: str = IMAGENET
    top1: float | None = None
    top5: float | None = None

    @property
    def proof(self) -> str:
        """What a download is compared with, in a few words."""
        if self.sha256:
            return f"{self.sha256[:8]}…"
        return "told by server" if self.server_tells else "not published"

    @property
    def file_name(self) -> str:
        """How the file is called on disk; one name for one entry."""
        name = self.url.rsplit("/", 1)[1]
        return name if name != "model.safetensors" else f"{self.url.split('/')[-4]}.safetensors"


def _torchvision(
    network: str, version: int, file: str, size_mib: int, accuracies: tuple[float, float]
) -> PublishedWeights:
    return PublishedWeights(
        network=network,
        publisher=f"torchvision V{version}",
        url=f"{_TORCHVISION}/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        licence="BSD-3-Clause",
        size_mib=size_mib,
        top1=accuracies[0],
        top5=accuracies[1],
    )


def _timm(network: str, tag: str, licence: str = "Apache-2.0") -> PublishedWeights:
    return PublishedWeights(
        network=network,
        publisher=f"timm {tag}",
        url=f"{_TIMM}/{tag}/resolve/main/model.safetensors",
        sha256="",
        server_tells=True,
        licence=licence,
    )


def _facebook(network: str, file: str, trained_on: str) -> PublishedWeights:
    return PublishedWeights(
        network=network,
        publisher="facebookresearch/ConvNeXt",
        url=f"{_FACEBOOK}/{file}",
        sha256="",
        licence="MIT",
        trained_on=trained_on,
    )


def _scenes(network: str, file: str, size_mib: int) -> PublishedWeights:
    """Make an entry of torchvision's weights for the 20 classes of PASCAL VOC, auxiliary head included."""
    return PublishedWeights(
        network=network,
        publisher="torchvision V1",
        url=f"{_TORCHVISION}/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        licence="BSD-3-Clause",
        size_mib=size_mib,
        trained_on="COCO, VOC's classes",
    )


def _akamaster(depth: int, digits: str, top1: float) -> PublishedWeights:
    return PublishedWeights(
        network=f"resnet{depth}_cifar",
        publisher="akamaster/pytorch_resnet_cifar10",
        url=f"{_AKAMASTER}/resnet{depth}-{digits[:8]}.th",
        sha256=digits,
        licence="BSD-2-Clause",
        trained_on="CIFAR-10",
        top1=top1,
    )


_NIN = PublishedWeights(
    network="nin_cifar",
    publisher="Jasonlee1995/NIN",
    url=f"{_JASONLEE}/best.pt",
    sha256="cf1bcb52f3687ce04dad674066bc3df97d9566eb8a7c135439c2eeb0f7af7678",
    licence="none stated",
    size_mib=4,
    trained_on="CIFAR-10",
    top1=87.7,
)
_BN_INCEPTION = PublishedWeights(
    network="bn_inception_p128",
    publisher="pretrained-models.pytorch",
    url=f"{_CADENE}/bn_inception-52deb4733.pth",
    sha256="52deb4733",
    licence="BSD-3-Clause",
    size_mib=44,
    top1=73.522,
    top5=91.56,
)

PUBLISHED: Final[tuple[PublishedWeights, ...]] = (
    _torchvision("alexnet", 1, "alexnet-owt-7be5be79.pth", 233, (56.522, 79.066)),
    _NIN,
    _torchvision("vgg11", 1, "vgg11-8a719046.pth", 507, (69.02, 88.628)),
    _torchvision("vgg11_bn", 1, "vgg11_bn-6002323d.pth", 507, (70.37, 89.81)),
    _torchvision("vgg13", 1, "vgg13-19584684.pth", 508, (69.928, 89.246)),
    _torchvision("vgg13_bn", 1, "vgg13_bn-abd245e5.pth", 508, (71.586, 90.374)),
    _torchvision("vgg16", 1, "vgg16-397923af.pth", 528, (71.592, 90.382)),
    _torchvision("vgg16_bn", 1, "vgg16_bn-6c64b313.pth", 528, (73.36, 91.516)),
    _torchvision("vgg19", 1, "vgg19-dcbb9e9d.pth", 548, (72.376, 90.876)),
    _torchvision("vgg19_bn", 1, "vgg19_bn-c79401a0.pth", 548, (74.218, 91.842)),
    _torchvision("googlenet", 1, "googlenet-1378be20.pth", 50, (69.778, 89.53)),
    _BN_INCEPTION,
    _torchvision("inception_v3", 1, "inception_v3_google-0cc3c7bd.pth", 104, (77.294, 93.45)),
    _torchvision("resnet18", 1, "resnet18-f37072fd.pth", 45, (69.758, 89.078)),
    _torchvision("resnet34", 1, "resnet34-b627a593.pth", 83, (73.314, 91.42)),
    _torchvision("resnet50", 1, "resnet50-0676ba61.pth", 98, (76.13, 92.862)),
    _torchvision("resnet50", 2, "resnet50-11ad3fa6.pth", 98, (80.858, 95.434)),
    _torchvision("resnet101", 1, "resnet101-63fe2227.pth", 171, (77.374, 93.546)),
    _torchvision("resnet101", 2, "resnet101-cd907fc2.pth", 171, (81.886, 95.78)),
    _torchvision("resnet152", 1, "resnet152-394f9c45.pth", 230, (78.312, 94.046)),
    _torchvision("resnet152", 2, "resnet152-f82ba261.pth", 230, (82.284, 96.002)),
    _torchvision("wide_resnet50_2", 1, "wide_resnet50_2-95faca4d.pth", 132, (78.468, 94.086)),
    _torchvision("wide_resnet50_2", 2, "wide_resnet50_2-9ba9bcbe.pth", 263, (81.602, 95.758)),
    _torchvision("wide_resnet101_2", 1, "wide_resnet101_2-32ee1156.pth", 243, (78.848, 94.284)),
    _torchvision("wide_resnet101_2", 2, "wide_resnet101_2-d733dc28.pth", 485, (82.51, 96.02)),
    _torchvision("densenet121", 1, "densenet121-a639ec97.pth", 31, (74.434, 91.972)),
    _torchvision("densenet161", 1, "densenet161-8d451a50.pth", 110, (77.138, 93.56)),
    _torchvision("densenet169", 1, "densenet169-b2777c0a.pth", 55, (75.6, 92.806)),
    _torchvision("densenet201", 1, "densenet201-c1103571.pth", 77, (76.896, 93.37)),
    _torchvision("convnext_tiny", 1, "convnext_tiny-983f1562.pth", 109, (82.52, 96.146)),
    _torchvision("convnext_small", 1, "convnext_small-0c510722.pth", 192, (83.616, 96.65)),
    _torchvision("convnext_base", 1, "convnext_base-6075fbad.pth", 338, (84.062, 96.87)),
    _torchvision("convnext_large", 1, "convnext_large-ea097f82.pth", 755, (84.414, 96.976)),
    _scenes("fcn_resnet50", "fcn_resnet50_coco-1167a1af.pth", 135),
    _scenes("fcn_resnet101", "fcn_resnet101_coco-7ecb50ca.pth", 208),
    _scenes("tv_deeplabv3_resnet50", "deeplabv3_resnet50_coco-cd0a2569.pth", 161),
    _scenes("tv_deeplabv3_resnet101", "deeplabv3_resnet101_coco-586e9e4e.pth", 233),
    _akamaster(20, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", 91.73),
    _akamaster(56, "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367", 93.39),
    _timm("inception_v4", "inception_v4.tf_in1k"),
    _timm("inception_resnet_v2", "inception_resnet_v2.tf_in1k"),
    _timm("inception_resnet_v2", "inception_resnet_v2.tf_ens_adv_in1k"),
    _timm("resnetv2_50", "resnetv2_50.a1h_in1k"),
    _timm("resnetv2_101", "resnetv2_101.a1h_in1k"),
    _facebook("convnext_tiny", "convnext_tiny_1k_224_ema.pth", IMAGENET),
    _facebook("convnext_small", "convnext_small_1k_224_ema.pth", IMAGENET),
    _facebook("convnext_base", "convnext_base_1k_224_ema.pth", IMAGENET),
    _facebook("convnext_large", "convnext_large_1k_224_ema.pth", IMAGENET),
    _facebook("convnext_tiny", "convnext_tiny_22k_1k_224.pth", "ImageNet-22k, then 1k"),
    _facebook("convnext_small", "convnext_small_22k_1k_224.pth", "ImageNet-22k, then 1k"),
    _facebook("convnext_base", "convnext_base_22k_1k_224.pth", "ImageNet-22k, then 1k"),
    _facebook("convnext_large", "convnext_large_22k_1k_224.pth", "ImageNet-22k, then 1k"),
    _facebook("convnext_xlarge", "convnext_xlarge_22k_1k_224_ema.pth", "ImageNet-22k, then 1k"),
)
"""In the order of the catalogue's families; the first entry of a network is the one that is downloaded by default."""


SAME_FILES: Final = {"inception_v3_aux": "inception_v3"}
"""Networks whose weights are in the files of another, which hold an auxiliary head too."""


def published_weights(network: str) -> tuple[PublishedWeights, ...]:
    """Return the entries for one network; none where nobody published weights of exactly its structure."""
    network = SAME_FILES.get(network, network)
    return tuple(entry for entry in PUBLISHED if entry.network == network)


def choose(network: str, publisher: str | None) -> PublishedWeights:
    """Return the entry of a publisher, or the network's first.

    Raises:
        UsageError: there is none.

    """
    entries = published_weights(network)
    if not entries:
        raise UsageError(
            f"no published weights of {network} are known",
            expected="a network with published weights",
            do="`pixelwise weights` lists all of them",
        )
    return entries[0] if publisher is None else of_publisher(entries, publisher)[0]


def of_publisher(entries: Sequence[PublishedWeights], publisher: str) -> tuple[PublishedWeights, ...]:
    """Return the entries of one publisher.

    Raises:
        UsageError: there is none.

    """
    found = tuple(entry for entry in entries if entry.publisher == publisher)
    if not found:
        names = list(dict.fromkeys(entry.publisher for entry in entries))
        raise UsageError(f"--publisher {publisher!r}", expected=", ".join(names), do=suggest(publisher, names))
    return found
