"""One way to do each: smoothing, resizing, seeded jitter."""
