"""Who a caller is said to be: asserted, hidden, signed and judged."""
