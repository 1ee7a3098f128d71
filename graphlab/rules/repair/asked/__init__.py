"""Repairs of what gradients are asked of: inputs, hooks, and custom Functions."""
