"""Numbers to what a person or a machine reads, one file per format."""
