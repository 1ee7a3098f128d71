"""What a Trace holds of the steps of optimizers."""
