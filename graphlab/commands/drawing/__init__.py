"""What `graphlab render` is made of, besides the command itself."""
