"""Settling what a network is told of each picture besides its pixels."""

from pixelwise import catalogue
from pixelwise.data.manifest import Manifest
from pixelwise.data.metadata import Metadata, measure_metadata
from pixelwise.errors import SpecError
from pixelwise.specs import Spec

COLUMN = "metadata"
"""Of a spec: how many numbers the network is conditioned on."""


def settle_metadata(manifest: Manifest) -> Metadata | None:
    """Return how the manifest's further columns become numbers, measured on its training pictures; None without any.

    Raises:
        DataError: a column that cannot tell pictures apart.

    """
    if not manifest.metadata_names:
        return None
    said = [list(manifest.cells(index).values()) for index in manifest.indices("train").tolist()]
    return measure_metadata(manifest.metadata_names, said)


def conditioned(spec: Spec, metadata: Metadata | None) -> Spec:
    """Return the network that takes so many numbers.

    Raises:
        SpecError: it is none that can be conditioned on any.

    """
    if metadata is None:
        return spec
    if COLUMN not in spec.columns():
        able = [name for name in catalogue.names() if COLUMN in catalogue.spec(name).columns()]
        raise SpecError(
            f"{spec.name} cannot be conditioned on metadata ({', '.join(metadata.names)})",
            expected=f"one of {', '.join(able)}",
            do="Choose another network, or leave --metadata out",
        )
    return spec.replace(metadata=metadata.width)
