"""What becomes of the state of modules: saved and restored, frozen, tied, and registered."""
