"""Polyp segmentation in colonoscopy frames: the package behind the course."""

__version__ = "0.1.0"
