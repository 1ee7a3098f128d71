"""What a Trace holds of a program with several ranks, and the traces of all of them."""
