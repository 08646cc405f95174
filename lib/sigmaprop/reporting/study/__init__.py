"""What `sigmaprop study` found: tables for a terminal, and the answer as a page."""
