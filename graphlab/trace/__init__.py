"""What was observed, as plain data: it holds no tensors and can be read without torch."""
