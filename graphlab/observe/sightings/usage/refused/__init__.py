"""What an optimizer, a scaler or a norm refused, by what the program had given it."""
