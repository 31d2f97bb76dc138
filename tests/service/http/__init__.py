"""The HTTP API: values first, then requests to a service on one clock, then loopback."""
