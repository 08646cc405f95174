"""Records of benchmarks: written, checked, compared, and shown as a page."""
