"""How a network learns for a second site without its labels: what all such methods share, and each one's own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block

ADAPTING = ("dann", "cdan", "mmd", "jmmd", "coral", "mcd", "self_training", "dann_self_training")
"""Values of `training.kind` that learn from `target_images` too, without labels."""

TARGET_SCORES = {
    "im": "information_maximisation",
    "entropy": "negative_entropy",
    "snd": "soft_neighbourhood_density",
    "bnm": "batch_nuclear_norm",
}
"""Short names, as in parameters, columns and files -> scores of the target's predictions (`metrics/label_free.py`)."""

SOURCE_SCORES = {"dev": "deep_embedded_validation", "source": "source_auroc"}
"""Short names -> scores that rest on the source's labels."""


class Adaptation(Block):
    """What all methods of adaptation share; learning rates, epochs of the head and unfreezing are `finetune`'s."""

    selection: Literal["source", "im", "entropy", "snd", "bnm", "dev"] = "im"
    """What picks the epoch, without target labels: validation AUROC of the source, or on the target's validation images
    information maximisation, negative entropy, soft neighbourhood density, batch nuclear norm, deep embedded
    validation."""
    batch_norm: Literal["together", "per_domain", "frozen"] = "together"
    """`together`: both domains in one batch; `per_domain`: statistics of their own, those of the target are saved;
    `frozen`: the pretrained ones. It takes the place of `finetune.batch_norm`."""
    align: Literal["hidden", "trunk"] = "hidden"
    """What is brought together: `hidden`, what the head's last layer sees; `trunk`, its features, so that hidden
    layers of the head stay the classes' own, as in Ganin et al. 2016 and in the chapter. Alike with a linear head."""


class Adversary(Block):
    """A discriminator behind a reversal of the gradient."""

    reversal: float = Field(default=1.0, ge=0)
    """Strength of the reversed gradient (alpha) at its highest; 0 is training without adaptation."""
    schedule: Literal["rising", "constant"] = "rising"
    """How the strength gets there: 2 / (1 + exp(-10 p)) - 1 of the steps done (Ganin et al. 2016), or at once."""
    hidden: int = Field(default=256, ge=1)
    """Hidden units of the discriminator."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Dropout in the discriminator."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of the discriminator, whatever the strength of the reversal."""


class Dann(Adversary):
    """A discriminator of domains that the network works against (Ganin et al. 2016)."""


class Cdan(Adversary):
    """A discriminator that sees features and predictions together (Long et al. 2018)."""

    entropy: bool = True
    """Certain images count up to twice as much (CDAN+E)."""


class Mmd(Block):
    """The maximum mean discrepancy of features (Long et al. 2015)."""

    weight: float = Field(default=1.0, ge=0)
    """Weight beside the cross-entropy; 0 is training without adaptation."""
    kernel: Literal["gaussian", "linear", "chapter"] = "gaussian"
    """`gaussian`: a mean over five bandwidths around the median; `linear`: means of features alone; `chapter`: its one
    bandwidth (sigma 1), which features of many numbers hardly feel."""
    biased: bool = False
    """All pairs, a row with itself too (the chapter's form), in place of the unbiased statistic."""


class Jmmd(Block):
    """The joint discrepancy of features and predictions (Long et al. 2017)."""

    weight: float = Field(default=1.0, ge=0)
    """Weight beside the cross-entropy; 0 is training without adaptation."""
    biased: bool = False
    """All pairs, as in the paper, in place of the unbiased statistic."""


class Coral(Block):
    """The distance of covariances of features (Sun and Saenko 2016)."""

    weight: float = Field(default=1.0, ge=0)
    """Weight beside the cross-entropy; 0 is training without adaptation."""


class Mcd(Block):
    """Two classifiers that disagree where the target lies outside of the source (Saito et al. 2018)."""

    reversal: float = Field(default=1.0, ge=0)
    """Strength with which the trunk lowers the disagreement that the two heads raise; 0: not at all."""
    weight: float = Field(default=1.0, ge=0)
    """Weight of the disagreement; 0 is two heads on the source, without adaptation."""
    schedule: Literal["rising", "constant"] = "rising"
    """How the strength gets to its highest, as for `dann`."""


class SelfTraining(Block):
    """The network's own confident answers on the target as labels (FixMatch, AdaMatch)."""

    rule: Literal["fixmatch", "adamatch"] = "adamatch"
    """`fixmatch`: the likeliest class where its probability reaches `threshold`; `adamatch`: soft answers, aligned to
    the class shares of the source, where they reach `share` of the confidence on the source."""
    weight: float = Field(default=1.0, ge=0)
    """Weight beside the cross-entropy; 0 is training without adaptation."""
    threshold: float = Field(default=0.95, ge=0, le=1)
    """Least probability of an answer that counts (`fixmatch`)."""
    share: float = Field(default=0.9, gt=0, le=1)
    """Least confidence of an answer that counts, as a share of that on the source (`adamatch`)."""


class DannSelfTraining(Adversary):
    """DANN and FixMatch's pseudo-labels together."""

    reversal: float = Field(default=0.5, ge=0)
    """Strength of the reversed gradient (alpha) at its highest; 0: pseudo-labels alone."""
    weight: float = Field(default=1.0, ge=0)
    """Weight of the pseudo-labels beside the cross-entropy; 0: DANN alone."""
    threshold: float = Field(default=0.9, ge=0, le=1)
    """Least probability of an answer that counts as a label."""
