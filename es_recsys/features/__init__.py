"""What behaviour says of users, items and their pairs at a moment, as numbers."""
