"""How single calls and settings of torch's are used: one file for each kind of mistake."""
