"""What a Trace holds of the examples of a batch, and of the batches of a loop."""
