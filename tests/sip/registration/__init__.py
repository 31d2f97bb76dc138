"""Tests of :mod:`sip_p2p.sip.registration`."""
