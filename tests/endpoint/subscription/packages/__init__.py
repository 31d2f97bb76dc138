"""Tests of :mod:`sip_p2p.endpoint.subscription.packages`."""
