"""What is said of a case: its formulas, and comparisons with others."""
