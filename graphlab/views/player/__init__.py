"""The step-through player: one recorded iteration as a page that plays itself."""
