"""What a command says, and how each format shows it: blocks, and one renderer per format that knows no command."""
