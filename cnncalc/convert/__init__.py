"""A graph written down again: as a spec that loads back to an equal graph."""
