"""Pretrained networks as trunks of ordered stages, their heads, what of them learns, and how they are kept."""
