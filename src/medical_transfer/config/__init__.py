"""Typed parameters: one frozen model per block of `conf/base/parameters`, unknown keys forbidden."""
