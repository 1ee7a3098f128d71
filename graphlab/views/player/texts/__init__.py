"""The texts of the player: sentences, findings and questions, in the current language."""
