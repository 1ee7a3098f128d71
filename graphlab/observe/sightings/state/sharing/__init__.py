"""Parameters, modules and items that are one where the program may want two, or the reverse."""
