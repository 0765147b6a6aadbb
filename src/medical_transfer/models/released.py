"""Sources that research groups released as torch files: Places365 (MIT CSAIL) and RadImageNet (BMEII).

Their groups publish no checksums. Where one stands here, it was recorded by others who fetched the file, or is stated
by the mirror that the address leads to:
- `resnet50_places365.pth.tar` and RadImageNet's `ResNet50.pt`: several public projects record the same one; for the
  second it is the mirror's as well, so the mirror's file is that of the authors' archive.
- RadImageNet's `DenseNet121.pt` and `InceptionV3.pt`: the mirror's, of its own files.
- `resnet18_places365.pth.tar`: none was found.

Places365: github.com/CSAILVision/places365, README and run_placesCNN_basic.py (names, `module.` before every tensor,
normalisation). RadImageNet: github.com/BMEII-AI/RadImageNet, README (accuracies, the archive `RadImageNet_pytorch.zip`
on Google Drive, whose folder the names keep) and pytorch_example.ipynb (children numbered under `backbone.`, no last
layer, images read in BGR and scaled to -1..1); inception_v3 without its auxiliary head: issue 16 there.
"""

from __future__ import annotations

from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Source
from medical_transfer.models.weights import ReleasedFile

_PLACES = "http://places2.csail.mit.edu/models_places365"
_PLACES_LICENCE = "CC BY (Places365-CNNs, MIT CSAIL)"
_RADIMAGENET = "https://huggingface.co/Lab-Rasool/RadImageNet/resolve/main"
_RADIMAGENET_DOMAIN = "RadImageNet (CT, MRI and ultrasound)"
_RADIMAGENET_LICENCE = "MIT (repository BMEII-AI/RadImageNet)"


def _radimagenet_file(name: str, sha256: str) -> ReleasedFile:
    return ReleasedFile(
        file=f"RadImageNet_pytorch/{name}",
        url=f"{_RADIMAGENET}/{name}",
        sha256=sha256,
        match="children",
        prefix="backbone.",
        has_head=False,
    )


RELEASED = (
    Source(
        name="resnet18_places365",
        domain="Places365 (scenes)",
        architecture="torchvision/resnet18",
        weights=ReleasedFile("resnet18_places365.pth.tar", f"{_PLACES}/resnet18_places365.pth.tar", prefix="module."),
        preprocessing=Preprocessing(),
        licence=_PLACES_LICENCE,
        classes=365,
        parameters=11_363_757,
    ),
    Source(
        name="resnet50_places365",
        domain="Places365 (scenes)",
        architecture="torchvision/resnet50",
        weights=ReleasedFile(
            "resnet50_places365.pth.tar",
            f"{_PLACES}/resnet50_places365.pth.tar",
            sha256="46529c86902bd0cfb0ea562a30b2850c28d2620d96282b3db9c318e1d774f6c5",
            prefix="module.",
        ),
        preprocessing=Preprocessing(),
        licence=_PLACES_LICENCE,
        classes=365,
        parameters=24_255_917,
    ),
    Source(
        name="radimagenet_resnet50",
        domain=_RADIMAGENET_DOMAIN,
        architecture="torchvision/resnet50",
        weights=_radimagenet_file("ResNet50.pt", "08629f7e7bd3e29b8ee9522ca3f65ce4d010a7ddf74f0ea3c7e3f3d0bbab0734"),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), channels="BGR"),
        licence=_RADIMAGENET_LICENCE,
        source_accuracy=0.723,
        parameters=23_508_032,
    ),
    Source(
        name="radimagenet_densenet121",
        domain=_RADIMAGENET_DOMAIN,
        architecture="torchvision/densenet121",
        weights=_radimagenet_file("DenseNet121.pt", "5011b427acf483b3c05d9d4ac6ea4ff0baf5714c23937c0fcdc7c446226d0a14"),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), channels="BGR"),
        licence=_RADIMAGENET_LICENCE,
        source_accuracy=0.731,
        parameters=6_953_856,
    ),
    Source(
        name="radimagenet_inception_v3",
        domain=_RADIMAGENET_DOMAIN,
        architecture="torchvision/inception_v3",
        weights=_radimagenet_file("InceptionV3.pt", "f00ee7bc89c4652fdc454fa349ae2e2f4272a3c182762929b3112657ba381f96"),
        # -1..1 as for the other two: torchvision's network turns ImageNet's normalisation into that itself
        preprocessing=Preprocessing(channels="BGR"),
        licence=_RADIMAGENET_LICENCE,
        source_accuracy=0.732,
        parameters=21_785_568,
    ),
)
"""Released sources, in the order of the menu."""
