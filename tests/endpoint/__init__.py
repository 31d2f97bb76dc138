"""The facade, on a network in memory."""
