"""Sources that torchvision and timm publish, by any of their names; their networks and the house's untrained."""

from __future__ import annotations

from medical_transfer.models.architectures import HOUSE, native_size, timm_facts, unknown_network
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Source
from medical_transfer.models.weights import PublishedFile, TimmFile, Untrained
from medical_transfer.types import UserError

UNTRAINED = "random/"
HOUSE_LIBRARY = "house/"


def library_source(name: str) -> Source:
    """Source `torchvision/<network>` or `timm/<network>`, or with `random/` before it the same network untrained.

    Raises:
        UserError: where the library has no such network or no such weights.
    """
    if name.startswith(UNTRAINED + HOUSE_LIBRARY):
        return house_source(name.removeprefix(UNTRAINED + HOUSE_LIBRARY))
    if name.startswith(UNTRAINED):
        trained = library_source(name.removeprefix(UNTRAINED))
        stream = (
            f"init/{UNTRAINED}{trained.architecture}"  # its own, so it is the same wherever and whenever it is built
        )
        return trained.untrained(UNTRAINED + trained.name, Untrained(stream))
    library, _, network = name.partition("/")
    return torchvision_source(network) if library == "torchvision" else timm_source(network)


def house_source(network: str) -> Source:
    """Source `random/house/<network>`: one of the house's networks, of which no weights are published.

    Raises:
        UserError: where the house has no such network.
    """
    if network not in HOUSE:
        raise UserError(unknown_network("house", network, list(HOUSE)))
    architecture = HOUSE_LIBRARY + network
    return Source(
        name=UNTRAINED + architecture,
        domain="none (trained from the start)",
        architecture=architecture,
        weights=Untrained(f"init/{UNTRAINED}{architecture}"),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=native_size(architecture)),
        licence="none",
    )


def torchvision_source(name: str) -> Source:
    """Source `<network>` with torchvision's default weights, or `<network>@<WEIGHTS>` with others of its menu.

    Raises:
        UserError: where torchvision has no such network or no such weights.
    """
    from torchvision import models  # noqa: PLC0415 - 1 s, and only needed for this library

    network, _, wanted = name.partition("@")
    if network not in (known := models.list_models(module=models)):
        raise UserError(unknown_network("torchvision", network, known))
    menu = models.get_model_weights(network)
    if wanted and wanted not in menu.__members__:
        raise UserError(f"torchvision/{network} has no weights {wanted!r}: choose {', '.join(menu.__members__)}.")
    weights = menu[wanted] if wanted else menu.DEFAULT
    transform = weights.transforms()
    return Source(
        name=f"torchvision/{name}",
        domain="ImageNet-1k",
        architecture=f"torchvision/{network}",
        weights=PublishedFile(weights.url),
        preprocessing=Preprocessing(
            mean=tuple(transform.mean),
            std=tuple(transform.std),
            size=transform.crop_size[0],
            interpolation=transform.interpolation.value,
        ),
        licence="BSD-3-Clause (torchvision); ImageNet's terms for the weights",
        source_accuracy=weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100,
        parameters=weights.meta["num_params"],
    )


def timm_source(name: str) -> Source:
    """Source of any name that timm knows, with or without a tag (`resnet18` or `resnet18.a1_in1k`).

    Raises:
        UserError: where timm has no such network.
    """
    published = timm_facts(name)
    cubic = published.interpolation == "bicubic"
    return Source(
        name=f"timm/{name}",
        domain="ImageNet-1k"
        if published.tag.endswith("in1k") and "_ft_" not in published.tag
        else f"timm: {published.tag}",
        architecture=f"timm/{name.partition('.')[0]}",
        weights=TimmFile(name),
        preprocessing=Preprocessing(
            mean=tuple(published.mean),
            std=tuple(published.std),
            size=published.input_size[-1],
            interpolation="bicubic" if cubic else "bilinear",
        ),
        licence=published.license or "unknown",
        classes=published.num_classes,
    )
