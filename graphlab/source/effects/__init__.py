"""What statements do to what outlives them: assign, store, freeze."""
