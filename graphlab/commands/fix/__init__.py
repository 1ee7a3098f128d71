"""The part of the command line that tries repairs."""
