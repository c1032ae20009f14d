"""Films and cameras: reading, following regions from frame to frame, writing."""
