"""What a user programs against, in UCMA's vocabulary.

A :class:`~sip_p2p.endpoint.endpoint.SipPeerToPeerEndpoint` is a party; a connection manager holds its listeners, its
flows and its proofs of identity, and can serve many parties. The package imports the transport and SIP below it, never
the service above. Start with :mod:`~sip_p2p.endpoint.endpoint`.
"""
