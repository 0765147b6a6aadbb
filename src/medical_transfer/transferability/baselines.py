"""The dumb baselines that every score has to beat: how large the source is, and how good it was at home.

On published benchmarks they do about as well as clever scores (METHODS: 'Published figures').
"""

from __future__ import annotations

from medical_transfer.transferability.evidence import Evidence, Undefined


def parameters(evidence: Evidence) -> float:
    """Number of parameters of the source as published, with its own head: the larger one should transfer better.

    Raises:
        Undefined: the number is not known.
    """
    if evidence.parameters is None:
        raise Undefined(f"the number of parameters of {evidence.source} is not known")
    return float(evidence.parameters)


def source_accuracy(evidence: Evidence) -> float:
    """Published accuracy on the source's own task, as a fraction: the better model is expected to transfer better.

    Accuracies on different source tasks (ImageNet, CIFAR-10) are not comparable; read it within one task.

    Raises:
        Undefined: no accuracy is known, for example of an untrained network.
    """
    if evidence.source_accuracy is None:
        raise Undefined(f"no accuracy of {evidence.source} on its own task is known")
    return float(evidence.source_accuracy)
