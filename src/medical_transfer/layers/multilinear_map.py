"""Features and predictions joined for a discriminator that looks at both: f (x) g, or a random sketch of it.

Source: Long et al. 2018, "Conditional Adversarial Domain Adaptation", section 3.2. An outer product whose entries are
all f_d g_c holds every interaction of the two, which their concatenation does not.
Shapes: N images, D features, C classes, R numbers of the sketch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 4096
"""The paper's largest D C for the outer product itself."""
SKETCHED = 1024
"""R of the authors' code; the paper asks for R much below D C."""


class MultilinearMap(nn.Module):
    """Features (N, D) and class probabilities (N, C) to one row (N, `dim`) an image.

    D C <= 4096: the outer product, dim = D C. Above: (R_f f) * (R_g g) / sqrt(R), dim = R, with fixed standard normal
    matrices, which keeps inner products in expectation: E <T, T'> = <f, f'> <g, g'>.

    Both arguments get gradients, as in the paper's minimax; the authors' code detaches the probabilities: detach them
    before for that.

    Attributes:
        dim: numbers an image.
    """

    def __init__(
        self, feature_dim: int, classes: int, *, seed: int, largest: int = LARGEST, sketched: int = SKETCHED
    ) -> None:
        """Draw the matrices from `seed` where they are needed; they are buffers and are saved with the network."""
        super().__init__()
        self.randomised = feature_dim * classes > largest
        self.dim = sketched if self.randomised else feature_dim * classes
        if self.randomised:
            generator = torch.Generator().manual_seed(seed)
            self.feature_projection_DR: Tensor
            self.class_projection_CR: Tensor
            self.register_buffer("feature_projection_DR", torch.randn(feature_dim, sketched, generator=generator))
            self.register_buffer("class_projection_CR", torch.randn(classes, sketched, generator=generator))

    def forward(self, features_ND: Tensor, probabilities_NC: Tensor) -> Tensor:
        """Rows (N, dim); of the outer product, f_d g_c stands at d C + c."""
        if not self.randomised:
            return (features_ND.unsqueeze(2) * probabilities_NC.unsqueeze(1)).flatten(1)
        features_NR = features_ND @ self.feature_projection_DR
        probabilities_NR = probabilities_NC @ self.class_projection_CR
        sketch_NR: Tensor = features_NR * probabilities_NR / self.dim**0.5
        return sketch_NR
