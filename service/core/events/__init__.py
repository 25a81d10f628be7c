"""What happens, in its order, and those who follow it."""
