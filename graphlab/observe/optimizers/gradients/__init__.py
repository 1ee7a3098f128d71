"""What is known of the gradients of parameters."""
