"""Where results go: output files, and streams that the program cannot take away."""
