"""Where results go: files and streams of graphlab's own."""
