"""Tests of ``sip_p2p.service.commands``."""
