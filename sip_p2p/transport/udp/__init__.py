"""SIP on UDP, what ICMP says of it, and STUN beside it.

Start with :mod:`~sip_p2p.transport.udp.datagram`.

==================  ================================  ========
module              what                              standard
==================  ================================  ========
``datagram``        SIP on UDP                        RFC 3581
``datagram_ports``  the ports of one side
``port``            a port that hears what ICMP says  RFC 1122
``stun``            STUN Binding                      RFC 8489
==================  ================================  ========
"""
