"""What is kept from one look at the numbers to the next."""
