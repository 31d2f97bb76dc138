"""SIP on Twisted: sockets, TLS, names, the clock.

What lives here turns connections and datagrams into flows, and what the core of :mod:`sip_p2p.sip` says into bytes on
them. It imports :mod:`sip_p2p.errors` and :mod:`sip_p2p.sip`, and nothing of the endpoint above it; a test holds it to
that.

Start with :mod:`~sip_p2p.transport.driver`, the only place where both worlds are visible, then
:mod:`~sip_p2p.transport.stream.protocol` for the life of a connection, then :mod:`~sip_p2p.transport.tls.settings` for
what comes before its first byte, then :mod:`~sip_p2p.transport.pool.pool` for which connection a request takes.

What changes for one reason stands in one package:

==============  ====================================================================================================
folder          what
==============  ====================================================================================================
``trust/``      Who a peer is: by what it is known, what its certificate proves, what was taken back, the judgement
``tls/``        TLS on Twisted: OpenSSL's contexts, the gate before a flow, the moving of bytes, files that change
``stream/``     SIP on connections: TCP, TLS once the peer is verified, and WebSocket
``udp/``        SIP on UDP, what ICMP says of it, and STUN beside it
``pool/``       Which connection a request takes: the flows that are kept, and how a new one comes about
``dns/``        Where a name leads (RFC 3263): the rules with nothing but values, and the world around them
``listening/``  Where to listen: endpoint descriptions, what they become, and whose sockets and headers they rely on
``load/``       Too much: what is admitted, what is refused in overload, and what peers have asked us to do less of
==============  ====================================================================================================

What all of these use stands beside them:

=================  ================================================================  ======================
module             what                                                              standard
=================  ================================================================  ======================
``driver``         feeds the core, drains its outputs, keeps its one delayed call    RFC 3261 section 17
``clock``          a monotonic time, and alarms on it
``deadlines``      many times of few lengths
``alarms``         times of any length, one a key
``random_tokens``  tokens from the operating system
``flow``           one path to one peer                                              RFC 3261 section 18
``keeper``         the flows of one side: their bounds, deadlines and ends
``keep_alive``     CRLF and STUN, and the agreement about them                       RFC 5626, RFC 6223
``target``         from a URI to where it leads, and to the name to be proved there  RFC 3263, RFC 5630
``proxy``          the first hop, where there is one                                 RFC 3261 section 8.1.2
``bare_agent``     HTTP without what its clients add to it                           RFC 9110
``limits``         every bound, by name
``throttle``       how often something is said in the log
=================  ================================================================  ======================
"""
