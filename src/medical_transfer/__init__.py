"""Transfer learning for medical images: from a folder of images to a classifier that its team can defend."""

__version__ = "0.1.0"
