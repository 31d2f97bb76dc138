"""Tests of :mod:`sip_p2p.service.applications`."""
