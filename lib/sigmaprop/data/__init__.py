"""Data sets; each ends as one device-resident array."""
