"""One module per verb of the command line. Only these compose observe, rules and views."""
