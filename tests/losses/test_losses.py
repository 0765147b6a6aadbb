"""What holds for every loss; adding one is adding a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from medical_transfer.losses.attention_transfer import attention_transfer
from medical_transfer.losses.cdan import conditional_domain_confusion, entropy_weights
from medical_transfer.losses.classifier_discrepancy import classifier_discrepancy
from medical_transfer.losses.coral import coral
from medical_transfer.losses.dist import relations
from medical_transfer.losses.dkd import decoupled_divergence
from medical_transfer.losses.domain_confusion import domain_confusion
from medical_transfer.losses.fitnet_hints import hint_loss
from medical_transfer.losses.jmmd import jmmd2
from medical_transfer.losses.kd import soft_divergence
from medical_transfer.losses.logit_standardisation import standardised
from medical_transfer.losses.mmd import linear_mmd2, mmd2
from medical_transfer.losses.paired import widened
from medical_transfer.losses.pseudo_labels import adamatch, confident, fixmatch
from medical_transfer.losses.rkd import angle_relation, distance_relation
from medical_transfer.types import UserError


@dataclass(frozen=True)
class Row:
    """A loss of one matrix per argument; those of one side (source, target) are rows of the same images."""

    loss: Callable[..., torch.Tensor]
    widths: tuple[int, ...]
    sides: tuple[int, ...]
    least: int | None = None
    """Fewest rows of a side; None where the loss has no sides."""


def _cdan(source_logits, target_logits, source_classes, target_classes):
    return conditional_domain_confusion(
        source_logits,
        target_logits,
        source_weights_N=entropy_weights(source_classes),
        target_weights_M=entropy_weights(target_classes),
    )


def _adamatch(targets, strong):
    targets = widened(targets).softmax(dim=1)
    return adamatch(targets, strong, confident(targets, 0.3))


def _dkd(teacher, student):
    """The true class is the one that the teacher likes best, so that it goes with the image."""
    return decoupled_divergence(student, teacher, teacher.detach().argmax(dim=1), temperature=2.0)


def _maps(loss):
    return lambda teacher, student: loss(student.unflatten(1, (-1, 2, 2)), teacher.unflatten(1, (-1, 2, 2)))


LOSSES = {
    "mmd2": Row(lambda s, t: mmd2(s, t, bandwidth=3.0), (4, 4), (0, 1), least=2),
    "mmd2 biased": Row(lambda s, t: mmd2(s, t, bandwidth=3.0, biased=True), (4, 4), (0, 1), least=1),
    "linear_mmd2": Row(linear_mmd2, (4, 4), (0, 1), least=2),
    "linear_mmd2 biased": Row(lambda s, t: linear_mmd2(s, t, biased=True), (4, 4), (0, 1), least=1),
    "jmmd2": Row(lambda s, t, p, q: jmmd2([s, p], [t, q], bandwidths=[3, 2]), (4, 4, 2, 2), (0, 1, 0, 1), least=2),
    "coral": Row(coral, (4, 4), (0, 1), least=2),
    "domain_confusion": Row(domain_confusion, (2, 2), (0, 1), least=1),
    "cdan": Row(_cdan, (2, 2, 3, 3), (0, 1, 0, 1), least=1),
    "classifier_discrepancy": Row(classifier_discrepancy, (3, 3), (0, 0)),
    "fixmatch": Row(lambda w, s: fixmatch(w, s, threshold=0.4), (3, 3), (0, 0)),
    "adamatch": Row(_adamatch, (3, 3), (0, 0)),
    "kd": Row(lambda t, s: soft_divergence(s, t, temperature=2.0), (3, 3), (0, 0)),
    "kd standardised": Row(lambda t, s: soft_divergence(standardised(s), standardised(t)), (3, 3), (0, 0)),
    "dkd": Row(_dkd, (3, 3), (0, 0)),
    "dist": Row(lambda t, s: relations(s, t, temperature=2.0), (3, 3), (0, 0)),
    "hints": Row(_maps(hint_loss), (4, 4), (0, 0)),
    "attention": Row(_maps(attention_transfer), (8, 4), (0, 0)),
    "distance": Row(lambda t, s: distance_relation(s, t), (5, 4), (0, 0)),
    "angle": Row(lambda t, s: angle_relation(s, t), (5, 4), (0, 0)),
}
DISTILLING = ("kd", "kd standardised", "dkd", "dist", "hints", "attention", "distance", "angle")
ONLY_THE_LAST_LEARNS = {"fixmatch", "adamatch", *DISTILLING}

every_loss = pytest.mark.parametrize("name", LOSSES)


def inputs(row: Row, seed: int = 0, rows: tuple[int, int] = (5, 7)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(rows[side], width, dtype=torch.float64, generator=generator) + 0.5 * side
        for side, width in zip(row.sides, row.widths, strict=True)
    ]


@every_loss
def test_a_scalar_with_the_gradient_of_finite_differences(name):
    row = LOSSES[name]
    given = inputs(row)
    learning = given[-1:] if name in ONLY_THE_LAST_LEARNS else given
    for values in learning:
        values.requires_grad_()
    loss = row.loss(*given)
    assert loss.shape == ()
    loss.backward()
    for values in learning:
        assert values.grad.abs().max() > 1e-6, "every argument that may learn gets a gradient"
    assert torch.autograd.gradcheck(lambda *_: row.loss(*given), learning)


@every_loss
def test_targets_of_the_weak_view_get_no_gradient(name):
    given = [values.requires_grad_() for values in inputs(LOSSES[name])]
    LOSSES[name].loss(*given).backward()
    assert (given[0].grad is None) == (name in ONLY_THE_LAST_LEARNS)


@every_loss
def test_the_order_of_images_does_not_matter(name):
    row = LOSSES[name]
    given, generator = inputs(row), torch.Generator().manual_seed(1)
    orders = [torch.randperm(rows, generator=generator) for rows in (5, 7)]
    shuffled = [values[orders[side]] for values, side in zip(given, row.sides, strict=True)]
    torch.testing.assert_close(row.loss(*shuffled), row.loss(*given), rtol=1e-12, atol=1e-14)


@every_loss
def test_half_precision_is_widened_also_within_autocast(name):
    """The numbers are rounded before the loss sees them; nothing more may be lost inside."""
    row = LOSSES[name]
    rounded = [(values + 3).bfloat16() for values in inputs(row)]  # an offset is what subtractions lose digits by
    exact = row.loss(*(values.double() for values in rounded))
    with torch.autocast("cpu", torch.bfloat16):
        found = row.loss(*rounded)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


@every_loss
@pytest.mark.parametrize("extreme", ["far", "equal", "zero"])
def test_losses_and_gradients_stay_finite(name, extreme):
    row = LOSSES[name]
    given = [values.float() for values in inputs(row)]
    given = {
        "far": [1e4 * values for values in given],
        "equal": [torch.full_like(values, 0.1) for values in given],
        "zero": [torch.zeros_like(values) for values in given],
    }[extreme]
    given = [values.requires_grad_() for values in given]
    loss = row.loss(*given)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(values.grad).all() for values in given if values.grad is not None)


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if row.least is not None])
def test_too_few_images_are_one_sentence(name):
    row = LOSSES[name]
    for rows in ((row.least - 1, 4), (4, row.least - 1)):
        with pytest.raises(UserError, match=f"needs {row.least} of each: raise the batch size"):
            row.loss(*inputs(row, rows=rows))
    assert torch.isfinite(row.loss(*inputs(row, rows=(row.least, row.least))))


@pytest.mark.parametrize("name", DISTILLING)
def test_a_student_that_is_its_teacher_has_nothing_to_learn(name):
    row = LOSSES[name]
    width = min(row.widths)
    (same,) = inputs(Row(row.loss, (width,), (0,)))
    student = same.clone().requires_grad_()
    loss = row.loss(same, student)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert student.grad.abs().max() < 1e-12


@every_loss
def test_no_tensor_of_pairs_times_features(name):
    """The largest tensor that any step makes, forward or backward, has pairs or features, not both."""
    row = LOSSES[name]
    images, width = (24, 30), 40
    wide = Row(row.loss, tuple(width if w == 4 else w for w in row.widths), row.sides)
    given = [values.requires_grad_() for values in inputs(wide, rows=images)]
    with Largest() as made:
        row.loss(*given).backward()
    rows = sum(images)
    assert made.numbers <= max(5 * rows**2, rows * width, width**2) < images[0] * images[1] * width


class Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the number of entries of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, tuple | list) else (result,)
        sizes = [t.untyped_storage().nbytes() // t.element_size() for t in tensors if isinstance(t, torch.Tensor)]
        self.numbers = max([self.numbers, *sizes])
        return result
