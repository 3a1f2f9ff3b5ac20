"""Graph to numbers, one file per question."""
