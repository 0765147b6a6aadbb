"""What a reader must know before trusting the numbers, as far as the run can know it."""

from __future__ import annotations

from typing import Any

from medical_transfer.config.images import Images


def limits_of(images: Images, leakage: dict[str, Any], *, adapts: bool = False) -> list[str]:
    """Sentences on the limits of this run; `adapts` says that the model learned from a second site without labels."""
    sentences = [
        "Not a medical device: before any clinical use the model must be validated on local patients.",
        "Test images come from the same data set as training images. How the model does at a site that is not in it is "
        "not known from these numbers.",
    ]
    if adapts:
        sentences.append(
            "The model learned from images of a second site without their labels. All numbers here are of the first "
            "site, and so are temperature and threshold: whether it works at the second, only labels from there tell."
        )
    if images.limit is not None:
        sentences.append(f"Only {images.limit} images were used (images.limit): a quick look, not a result.")
    if images.kind == "packaged":
        sentences.append(
            "The built-in sample (Br35H) was collected from the web without patient ids, scanner or protocol; many of "
            "its images are edited copies of others. It shows that the pipeline works, not that a tumour can be found."
        )
    if not leakage["given_groups"]:
        sentences.append(
            "There are no patient ids. Groups were made from images that look alike, so two different slices of one "
            "patient may stand in different splits."
        )
    test = leakage["splits"]["test"]
    sentences.append(
        f"The test split holds {test['images']} images in {test['groups']} groups; "
        "intervals count groups, not images, as independent."
    )
    return sentences
