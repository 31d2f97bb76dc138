"""Tests of the package that puts SIP on sockets."""
