"""What the bank's other systems tell: one module per system."""
