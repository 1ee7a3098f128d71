"""The player: one recorded iteration as an HTML page to step through."""
