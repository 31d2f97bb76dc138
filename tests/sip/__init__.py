"""Tests of sip_p2p.sip: values in, values out, and a literal time."""
