"""Tests of the network in memory."""
