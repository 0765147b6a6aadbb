"""The stages of any architecture, those that derive from another by their names included."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch

from medical_transfer.models.architectures import behead, build_architecture, native_size
from medical_transfer.models.derived import Derived, derived
from medical_transfer.models.stage_plan import Stage, StagePlan, blocks_of, plan_stages, run_part
from medical_transfer.types import UserError


@functools.cache
def plan_of(architecture: str) -> StagePlan:
    """Stages of `timm/<name>` and the like, of `first<k>/`, `first<k>.<blocks>/` and `at<pixels>/<architecture>`.

    Raises:
        UserError: where the headless network does not give one vector per image, cannot be cut, or has not so many
            stages, or its next one not so many blocks.
    """
    asked = derived(architecture)
    if asked is None:
        return plan_stages(architecture)
    whole = plan_of(asked.of)
    if not whole.cuttable:
        raise UserError(f"{architecture} does not exist: {asked.of} has no place to cut it. Name the whole network.")
    if asked.kind == "at":
        stem, *others = whole.stages
        return replace(whole, stages=(replace(stem, parts=(f"shrink{asked.number}()", *stem.parts)), *others))
    if asked.number >= len(whole.stages):
        raise UserError(
            f"{architecture} asks for {asked.number} stages, but {asked.of} has {len(whole.stages)}: ask for fewer, or "
            "name the whole network."
        )
    *before, last = (*whole.stages[: asked.number], *_begun_stage(whole, asked))
    kept = (*before, replace(last, parts=(*last.parts, "pool()")))
    plan = StagePlan(stages=kept, feature_dim=0, cuttable=True)
    return replace(plan, feature_dim=_feature_dim(plan, architecture))


def _begun_stage(whole: StagePlan, asked: Derived) -> tuple[Stage, ...]:
    """The first blocks of the stage behind the whole ones, as a stage of their own; empty where none are asked for."""
    if asked.blocks is None:
        return ()
    stage = whole.stages[asked.number]
    blocks = blocks_of(behead(build_architecture(asked.of)), stage)
    if asked.blocks >= len(blocks):
        raise UserError(
            f"{asked.prefix}{asked.of} asks for {asked.blocks} blocks of stage {asked.number + 1}, which has "
            f"{len(blocks)}: ask for fewer, or for whole stages."
        )
    parts = tuple(part for block in blocks[: asked.blocks] for part in block)
    owned = tuple(name for name in stage.parameters if name.startswith(tuple(f"{part}." for part in parts)))
    return (replace(stage, name="..".join(dict.fromkeys((parts[0], parts[-1]))), parts=parts, parameters=owned),)


@torch.no_grad()
def _feature_dim(plan: StagePlan, architecture: str) -> int:
    network, size = behead(build_architecture(architecture)).eval(), native_size(architecture)
    activation = torch.zeros(2, 3, size, size)
    for part in (part for stage in plan.stages for part in stage.parts):
        activation = run_part(network, part, activation)
    return activation.shape[1]
