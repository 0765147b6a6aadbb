"""Losses as plain functions of tensors: no labels of the target, no networks, no loops."""
