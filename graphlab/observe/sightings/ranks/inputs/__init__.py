"""What ranks train with beside the wrapped model: batches, their order, and frozen networks."""
