"""Parameters and modules that are one where the program may want two, or two where it wants one."""
