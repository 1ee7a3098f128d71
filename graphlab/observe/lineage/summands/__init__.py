"""What a loss is summed up from, as the source has it."""
