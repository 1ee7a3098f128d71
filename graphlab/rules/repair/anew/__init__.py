"""Repairs of what every backward needs made anew, and is made or begun once."""
