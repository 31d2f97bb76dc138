"""Sessions as applications have them, on a network in memory."""
