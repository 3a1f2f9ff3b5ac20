"""YAML text to Graph: positions, expressions, blocks, variants, errors."""
