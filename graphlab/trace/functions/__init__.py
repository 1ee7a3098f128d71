"""What a Trace holds of custom autograd Functions and of transforms of torch.func."""
