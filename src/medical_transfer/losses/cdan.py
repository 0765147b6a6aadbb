"""CDAN+E: the domain loss with certain images counting up to twice as much as uncertain ones.

Source: Long et al. 2018, "Conditional Adversarial Domain Adaptation", section 3.3: w = 1 + exp(-H(g)) for an image with
prediction g, and the discriminator's objective E_s[w l] + E_t[w l]. Without weights, CDAN's loss is `domain_confusion`
of the discriminator's logits on `MultilinearMap`.

The weights stand inside the objective that the discriminator descends and the network ascends. So what reaches the
network through them must be reversed too: compute them from logits that went through `reverse_gradient`.
Shapes: N source and M target images, C classes.
"""

from __future__ import annotations

from torch import Tensor

from medical_transfer.losses.domain_confusion import Halves, domain_losses, joined
from medical_transfer.losses.paired import widened


def entropy_weights(reversed_logits_NC: Tensor) -> Tensor:
    """Weights (N,) w = 1 + exp(-H(softmax)), between 1 + 1/C (uniform) and 2 (certain).

    From logits rather than probabilities: a probability that was rounded to 0 would have an infinite gradient.
    """
    log_probabilities_NC = widened(reversed_logits_NC).log_softmax(dim=1)
    entropy_N = -(log_probabilities_NC.exp() * log_probabilities_NC).sum(dim=1)
    return 1 + (-entropy_N).exp()


def conditional_domain_confusion(
    source_logits_N2: Tensor,
    target_logits_M2: Tensor,
    *,
    source_weights_N: Tensor,
    target_weights_M: Tensor,
    halves: Halves = "mean",
) -> Tensor:
    """Scalar loss: as `domain_confusion`, each image times its weight.

    The paper's expectations, so the loss grows with the weights; the authors' code divides by the (detached) sum of
    the weights of each domain instead.

    Raises:
        UserError: a domain has no image.
    """
    source_N, target_M = domain_losses(source_logits_N2, target_logits_M2)
    return joined((source_weights_N * source_N).mean(), (target_weights_M * target_M).mean(), halves)
