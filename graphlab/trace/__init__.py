"""What was observed, as plain data: no tensor inside, no torch needed to read it."""
