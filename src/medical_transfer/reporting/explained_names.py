"""What readers call the methods that explain, the networks they are compared with, and the rival orders."""

from __future__ import annotations

from typing import Final

METHODS: Final = {"grad_cam": "Grad-CAM", "occlusion": "Occlusion"}
LEVELS: Final = {"head": "random head", "whole": "random network"}
ORDERS: Final = {"map": "the map's order", "random": "random order of its cells", "other_image": "another image's map"}
KINDS: Final = {"deletion": "Deletion: lower is better", "insertion": "Insertion: higher is better"}
