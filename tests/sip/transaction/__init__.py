"""Tests of sip_p2p.sip.transaction: the machines against their tables, the layer against its peers."""
