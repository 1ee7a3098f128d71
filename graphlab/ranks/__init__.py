"""Several ranks of one program: how they are started, and how what they saw becomes one report."""
