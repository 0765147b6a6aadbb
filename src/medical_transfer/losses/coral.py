"""Deep CORAL: the distance of two covariance matrices.

Source: Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", eq. 1-3. It sees second
moments and nothing else: means that lie apart are left so.
Shapes: N source and M target images, D features.
"""

from __future__ import annotations

from torch import Tensor

from medical_transfer.losses.paired import paired, product


def coral(source_ND: Tensor, target_MD: Tensor) -> Tensor:
    """Scalar |C_source - C_target|_F^2 / (4 D^2), C the covariance with divisor N - 1.

    Raises:
        UserError: fewer than two images of a domain.
    """
    source_ND, target_MD = paired(source_ND, target_MD, least=2)
    gap_DD = _covariance(source_ND) - _covariance(target_MD)
    return gap_DD.square().sum() / (4 * source_ND.shape[1] ** 2)


def _covariance(rows_ND: Tensor) -> Tensor:
    """Centred before the product: eq. 2's X'X - (1'X)'(1'X)/N is the same number, and rounds worse."""
    centred_ND = rows_ND - rows_ND.mean(dim=0)
    return product(centred_ND.T, centred_ND) / (len(rows_ND) - 1)
