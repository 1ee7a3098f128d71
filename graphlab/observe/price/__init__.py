"""What watching may cost, where the user has set a limit."""
